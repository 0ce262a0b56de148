// Exit code 0 where this Node runs the frontend's tools, and 1 where it is too old.
const [major, minor] = process.versions.node.split(".").map(Number);
process.exitCode = major > 20 || (major === 20 && minor >= 19) ? 0 : 1;
