import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultCases } from "../src/proxy/cases.ts";
import { type ParsedProxyOptions, type ProxyOptions, parseProxyOptions } from "../src/proxy/options.ts";

function optionsOf(...args: string[]): ProxyOptions {
  const parsed = parseProxyOptions(args);
  assert.ok(parsed.outcome === "options", messageOf(parsed));
  return parsed.options;
}

function messageOf(parsed: ParsedProxyOptions): string {
  return parsed.outcome === "invalid" ? parsed.message : parsed.outcome;
}

describe("the options of bench:proxy", () => {
  it("measure everything when nothing is said", () => {
    const { cases, ways, rounds, durationMs, shape, hops, mode, agentCode, save } = optionsOf();
    assert.deepEqual(
      cases.map(({ name }) => name),
      defaultCases.map(({ name }) => name),
    );
    assert.deepEqual(ways, ["direct", "haproxy", "nginx", "agents"]);
    assert.deepEqual([rounds, durationMs, shape, hops, mode], [5, 2_000, "one-core", "plain", "proxies"]);
    assert.deepEqual([agentCode, save], ["built", "no"]);
  });

  it("take one case of two ways, for a quick look", () => {
    const options = optionsOf("--cases", "unary-100@16", "--only", "agents,haproxy", "--seconds", "3", "--rounds", "3");
    assert.deepEqual(options.cases, [{ name: "unary-100@16", kind: "unary", messageBytes: 100, underWay: 16 }]);
    assert.deepEqual(options.ways, ["haproxy", "agents"]);
    assert.deepEqual([options.durationMs, options.rounds], [3_000, 3]);
  });

  it("take beginnings of cases, and cases that are no default", () => {
    const names = (list: string) => optionsOf("--cases", list).cases.map(({ name }) => name);
    assert.deepEqual(names("unary-10k,unary-10k@16"), ["unary-10k@1", "unary-10k@16", "unary-10k@64"]);
    assert.deepEqual(names("grpcjs"), ["grpcjs-100@1", "grpcjs-100@16", "grpcjs-100@64"]);
    assert.deepEqual(optionsOf("--cases", "flow-2k@3").cases, [
      { name: "flow-2k@3", kind: "flow", messageBytes: 2_048, underWay: 3 },
    ]);
  });

  it("are others for snapshots: pairs of stretches, of an opaque case and of one with the SDK", () => {
    const { mode, cases, rounds, durationMs, thorough } = optionsOf("--snapshots");
    assert.deepEqual(
      { mode, cases: cases.map(({ name }) => name), rounds, durationMs, thorough },
      { mode: "snapshots", cases: ["unary-100@16", "grpcjs-100@16"], rounds: 16, durationMs: 1_000, thorough: true },
    );
    assert.deepEqual(optionsOf("--snapshots", "--quick").thorough, false);
  });

  it("say what is wrong", () => {
    const wrong: [string[], RegExp][] = [
      [["--cases", "unary-100@0"], /no case "unary-100@0"/],
      [["--cases", "unary-1025k@1"], /no case "unary-1025k@1"/],
      [["--cases", "un"], /no case "un"/],
      [["--cases", ""], /no case ""/],
      [["--only", "agents,envoy"], /no way "envoy"/],
      [["--rounds", "1.5"], /--rounds must be/],
      [["--seconds", "31"], /--seconds must be/],
      [["--shape", "square"], /"square"; give one-core or two-cores/],
      [["--profile", "nginx"], /give agents/],
      [["-o", "xml"], /table or json/],
      [["--fast"], /fast/],
    ];
    for (const [args, message] of wrong) assert.match(messageOf(parseProxyOptions(args)), message);
    assert.equal(parseProxyOptions(["--help"]).outcome, "help");
  });
});
