import { defineConfig, integer, list } from "@cutline/runtime";

const port = { min: 1, max: 65_535, unit: "port" } as const;

/** Everything that can be set from outside of `cutline-redirect`, which writes the rules of redirect mode and ends. */
export const redirectConfig = defineConfig({
  applicationPort: integer("CUTLINE_REDIRECT_APPLICATION_PORT", {
    ...port,
    required: true,
    doc: "Where the application serves gRPC: what comes to it from outside goes to the agent.",
  }),
  outboundPorts: list("CUTLINE_REDIRECT_OUTBOUND_PORTS", {
    default: [],
    pattern: /^[1-9][0-9]{0,4}$/,
    patternDoc: "a port",
    doc: "What the pod sends to these ports of others goes to the agent.",
  }),
  agentUser: integer("CUTLINE_REDIRECT_AGENT_USER", {
    required: true,
    max: 4_294_967_294,
    doc: "The user that the agent, and nobody else, runs as; its traffic is left alone.",
  }),
  outboundPort: integer("CUTLINE_OUTBOUND_PORT", { ...port, default: 15_001, doc: "The agent's own." }),
  inboundPort: integer("CUTLINE_INBOUND_PORT", { ...port, default: 15_006, doc: "The agent's own." }),
  probePort: integer("CUTLINE_REDIRECT_PROBE_PORT", {
    ...port,
    default: 15_021,
    doc: "Leads straight to the application, for the kubelet's probes.",
  }),
});
