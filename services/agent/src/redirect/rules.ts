/** What redirect mode leads through the agent, all of it TCP. */
export interface RedirectRules {
  /** What comes from outside to this port goes to `inboundPort`. */
  readonly applicationPort: number;
  /** What the pod sends to these ports of others goes to `outboundPort`. */
  readonly outboundPorts: readonly number[];
  /** Traffic of this user is left alone: without that, what the agent sends would come back to it. */
  readonly agentUser: number;
  readonly outboundPort: number;
  readonly inboundPort: number;
  /** Leads from outside straight to the application: the kubelet's probes, which are nobody's calls. */
  readonly probePort: number;
}

export type Family = "ip" | "ip6";
export type Tool = "nft" | "iptables";

/** One command. */
export interface Step {
  readonly command: readonly [string, ...string[]];
  /** For its standard input. */
  readonly input?: string;
  /** It is left out when this one succeeds. */
  readonly unless?: readonly [string, ...string[]];
}

/**
 * The commands that put the rules of one family in place; a second time they change nothing. Nothing goes through that
 * is not listed: other ports, other protocols, loopback (the agent's way to its application) and the agent's own traffic.
 */
export function redirectSteps(tool: Tool, family: Family, rules: RedirectRules): readonly Step[] {
  return tool === "nft" ? [{ command: ["nft", "-f", "-"], input: nftRules(family, rules) }] : iptables(family, rules);
}

/** One transaction that takes the place of whatever table of this name is there. */
function nftRules(family: Family, rules: RedirectRules): string {
  const { applicationPort, outboundPorts, agentUser, outboundPort, inboundPort, probePort } = rules;
  const outbound =
    outboundPorts.length === 0
      ? []
      : [`    meta l4proto tcp tcp dport { ${outboundPorts.join(", ")} } redirect to :${outboundPort}`];
  return [
    `table ${family} cutline {}`,
    `delete table ${family} cutline`,
    `table ${family} cutline {`,
    "  chain outbound {",
    "    type nat hook output priority -100; policy accept;",
    `    meta skuid ${agentUser} return`,
    '    oifname "lo" return',
    ...outbound,
    "  }",
    "  chain inbound {",
    "    type nat hook prerouting priority -100; policy accept;",
    `    tcp dport ${probePort} redirect to :${applicationPort}`,
    `    tcp dport ${applicationPort} redirect to :${inboundPort}`,
    "  }",
    "}",
    "",
  ].join("\n");
}

const chains = { outbound: "CUTLINE_OUTBOUND", inbound: "CUTLINE_INBOUND" } as const;

/** Chains of our own are emptied by naming them; the jumps into them are added where they are not there yet. */
function iptables(family: Family, rules: RedirectRules): readonly Step[] {
  const { applicationPort, outboundPorts, agentUser, outboundPort, inboundPort, probePort } = rules;
  const program = family === "ip" ? "iptables" : "ip6tables";
  const redirect = (chain: string, from: number, to: number) =>
    `-A ${chain} -p tcp --dport ${from} -j REDIRECT --to-ports ${to}`;
  const input = [
    "*nat",
    `:${chains.outbound} - [0:0]`,
    `:${chains.inbound} - [0:0]`,
    `-A ${chains.outbound} -m owner --uid-owner ${agentUser} -j RETURN`,
    `-A ${chains.outbound} -o lo -j RETURN`,
    ...outboundPorts.map((port) => redirect(chains.outbound, port, outboundPort)),
    redirect(chains.inbound, probePort, applicationPort),
    redirect(chains.inbound, applicationPort, inboundPort),
    "COMMIT",
    "",
  ].join("\n");
  const jump = (from: string, to: string): Step => {
    const rule = [from, "-p", "tcp", "-j", to];
    return { command: [program, "-t", "nat", "-A", ...rule], unless: [program, "-t", "nat", "-C", ...rule] };
  };
  return [
    { command: [`${program}-restore`, "--noflush"], input },
    jump("OUTPUT", chains.outbound),
    jump("PREROUTING", chains.inbound),
  ];
}
