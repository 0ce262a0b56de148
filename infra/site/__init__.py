"""The documentation as a site: pages of the repository and generated ones, built by Zensical."""
