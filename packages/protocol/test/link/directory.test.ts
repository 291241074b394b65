import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LinkStanding, MeshDirectory } from "@cutline/protocol";

const party = (processId: string, incarnation = "1") => ({ processId, incarnation });
const nobody = () => false;
const everybody = () => true;

function link(processId: string, incarnation = "1"): LinkStanding {
  return { id: `${processId}#${incarnation}`, peer: party(processId, incarnation), role: "acceptor", connected: true };
}

function over(closing: readonly { readonly link: LinkStanding; readonly reason: string }[]): string[] {
  return closing.map(({ link: { id }, reason }) => `${id}: ${reason}`);
}

describe("the directory of the mesh", () => {
  it("does not know who is absent before there is a list", () => {
    const directory = new MeshDirectory();
    assert.equal(directory.membershipOf("a"), "present");
    assert.equal(directory.get("a"), undefined);
    directory.replace(1, [party("b")], nobody);
    assert.deepEqual([directory.membershipOf("a"), directory.membershipOf("b")], ["absent", "present"]);
  });

  it("takes no list that is older than the last, and the same one again", () => {
    const directory = new MeshDirectory();
    assert.equal(directory.replace(5, [party("a", "2")], nobody), "replaced");
    assert.equal(directory.replace(4, [party("a", "1")], nobody), "stale");
    assert.equal(directory.get("a")?.incarnation, "2");
    assert.equal(directory.replace(5, [party("a", "3")], nobody), "replaced");
    assert.equal(directory.get("a")?.incarnation, "3");
  });

  it("keeps who is not listed for as long as it answers", () => {
    const directory = new MeshDirectory();
    directory.replace(1, [party("a"), party("b")], nobody);
    directory.replace(2, [], (processId) => processId === "a");
    assert.deepEqual(directory.unlisted, [party("a")]);
    assert.deepEqual([directory.membershipOf("a"), directory.membershipOf("b")], ["present", "absent"]);
    const links = [link("a"), link("b")];
    assert.deepEqual(directory.lostConnection("a", links, everybody), { outcome: "kept" }, "on another link");
    const lost = directory.lostConnection("a", links, nobody);
    assert.equal(lost.outcome, "forgotten");
    assert.deepEqual(lost.outcome === "forgotten" ? over(lost.closing) : [], ["a#1: process a has left"]);
    assert.deepEqual([directory.membershipOf("a"), directory.unlisted], ["absent", []]);
  });

  it("forgets nobody who is listed, or was never known", () => {
    const directory = new MeshDirectory();
    directory.replace(1, [party("a")], nobody);
    assert.equal(directory.lostConnection("a", [link("a")], nobody).outcome, "kept");
    assert.equal(directory.lostConnection("b", [link("b")], nobody).outcome, "kept");
    directory.replace(2, [], everybody);
    directory.replace(3, [party("a")], everybody);
    assert.equal(directory.lostConnection("a", [link("a")], nobody).outcome, "kept", "it is listed again");
  });

  it("says which links are over: to who was restarted, or has left and does not answer", () => {
    const directory = new MeshDirectory();
    directory.replace(1, [party("a", "2"), party("b")], nobody);
    const links = [link("a", "1"), link("a", "2"), link("b"), link("c"), link("d")];
    assert.deepEqual(over(directory.linksOver(links, (processId) => processId === "d" || processId === "a")), [
      "a#1: process a was restarted",
      "c#1: process c has left",
    ]);
  });
});
