/** What a caller is told of an authority that nobody in the mesh serves. `reason`: of the HTTP/2 layer. */
export function authorityUnreachable(authority: string, directory: "known" | "none", reason: string): string {
  const [what, then] =
    directory === "known"
      ? [`no process of the mesh serves ${authority}`, "give the process that serves it this authority"]
      : [
          `no directory has come from the coordinator, so ${authority} is taken for an address`,
          "see to the coordinator",
        ];
  return `${what}, and outside of the mesh it cannot be reached: ${reason}; start it, correct the name, or ${then}`;
}

/** What a caller without an agent is told. */
export function applicationUnreachable(processId: string, reason: string): string {
  return `the application of process ${processId} cannot be reached: ${reason}; start it, or correct CUTLINE_APPLICATION_ADDRESS`;
}
