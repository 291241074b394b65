export { type Agent, type AgentPorts, createAgent } from "./app.ts";
export { type AgentConfig, agentConfig } from "./config.ts";
export { redirectConfig } from "./redirect/config.ts";
