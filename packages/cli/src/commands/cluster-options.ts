import type { Command } from "commander";

/** Those of kubectl, by the same names, and where the coordinator is. */
export function addClusterOptions(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "the kubeconfig (environment: KUBECONFIG; default: ~/.kube/config)")
    .option("--context <name>", "the context of the kubeconfig to use")
    .option("-n, --namespace <ns>", "the namespace (default: the context's)")
    .option("--coordinator-namespace <ns>", "where the coordinator is (default: it is looked for in all)")
    .option("--coordinator <name>", "its Service, and its Lease (default: found by the chart's labels)")
    .option(
      "--service-account <ns/name>",
      "call the coordinator as this service account (default: with the kubeconfig's own bearer token)",
    );
}
