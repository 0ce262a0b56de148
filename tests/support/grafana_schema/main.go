// Says in what the dashboards that are named are not as Grafana's schema has them, which the Go packages of its
// Foundation SDK are generated from: fields that are missing, unknown, or of another type.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	runtime := cog.NewRuntime()
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	status := 0
	for _, name := range os.Args[1:] {
		for _, fault := range faults(name) {
			fmt.Printf("%s: %s\n", name, fault)
			status = 1
		}
	}
	os.Exit(status)
}

func faults(name string) []string {
	text, err := os.ReadFile(name)
	if err != nil {
		return []string{err.Error()}
	}
	var read dashboard.Dashboard
	var found []string
	for _, err := range []error{read.UnmarshalJSONStrict(text), read.Validate()} {
		// What is read without a fault gives an error without words.
		if err != nil && err.Error() != "" {
			found = append(found, err.Error())
		}
	}
	return found
}
