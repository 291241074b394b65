import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "@cutline/runtime";
import { redirectConfig } from "../../src/redirect/config.ts";
import { type RedirectRules, redirectSteps } from "../../src/redirect/rules.ts";

const rules: RedirectRules = {
  applicationPort: 9000,
  outboundPorts: [9000, 50_051],
  agentUser: 15_001,
  outboundPort: 15_001,
  inboundPort: 15_006,
  probePort: 15_021,
};

describe("the rules of redirect mode", () => {
  for (const tool of ["nft", "iptables"] as const) {
    for (const family of ["ip", "ip6"] as const) {
      /** `node --test --test-update-snapshots` writes the files of golden/ anew. */
      it(`are what they were, by ${tool} for ${family}`, (context) => {
        const text = redirectSteps(tool, family, rules)
          .map(({ command, input = "", unless }) =>
            [unless && `# unless: ${unless.join(" ")}`, `$ ${command.join(" ")}`, input].filter(Boolean).join("\n"),
          )
          .join("\n");
        const path = join(import.meta.dirname, "golden", `${tool}-${family}.txt`);
        context.assert.fileSnapshot(text, path, { serializers: [String] });
      });
    }
  }

  it("redirect nothing outbound when no port is listed", () => {
    for (const tool of ["nft", "iptables"] as const) {
      const [first] = redirectSteps(tool, "ip", { ...rules, outboundPorts: [] });
      assert.doesNotMatch(first?.input ?? "", /to(-ports)? :?15001/);
      assert.match(first?.input ?? "", /to(-ports)? :?15006/);
    }
  });

  it("come from settings, of which the application's port and the agent's user must be there", () => {
    const loaded = loadConfig(redirectConfig, { CUTLINE_REDIRECT_OUTBOUND_PORTS: "9000,grpc" });
    assert.equal(loaded.outcome, "invalid");
    const problems = loaded.outcome === "invalid" ? loaded.problems.map(({ variable }) => variable).sort() : [];
    assert.deepEqual(problems, [
      "CUTLINE_REDIRECT_AGENT_USER",
      "CUTLINE_REDIRECT_APPLICATION_PORT",
      "CUTLINE_REDIRECT_OUTBOUND_PORTS",
    ]);
  });
});
