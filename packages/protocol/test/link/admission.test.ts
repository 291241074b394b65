import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AdmittingLink,
  admitHello,
  type LinkGreeting,
  LinkReceiver,
  type LinkRole,
  linkProtocolVersion,
} from "@cutline/protocol";

const self = { processId: "bank/a", incarnation: "a1" };
const peer = { processId: "bank/b", incarnation: "b1" };

function hello(changes: Partial<LinkGreeting> = {}): LinkGreeting {
  return {
    protocolVersion: linkProtocolVersion,
    linkId: "l1",
    ...peer,
    peerProcessId: self.processId,
    peerIncarnation: self.incarnation,
    connection: 1,
    resume: false,
    giveUp: false,
    receivedThrough: 0,
    ...changes,
  };
}

function link(id: string, changes: Partial<AdmittingLink> = {}): AdmittingLink {
  const receiver = new LinkReceiver();
  receiver.admit(3);
  const role: LinkRole = "acceptor";
  return { id, peer, role, connected: true, admit: (connection) => receiver.admit(connection), ...changes };
}

function judged(links: AdmittingLink[], changes: Partial<LinkGreeting>): string {
  const admission = admitHello(self, links, hello(changes));
  if (admission.outcome === "resume") return `resume ${admission.link.id}`;
  const closing = admission.closing.map(({ link: { id }, reason }) => `${id}: ${reason}`);
  return [admission.outcome === "open" ? "open" : admission.code, ...closing].join("; ");
}

describe("who may open a link or go on with one", () => {
  it("is who means this life of this process and speaks its protocol", () => {
    assert.equal(judged([], {}), "open");
    assert.equal(judged([], { protocolVersion: linkProtocolVersion + 1 }), "VERSION");
    assert.equal(judged([], { peerProcessId: "bank/c" }), "IDENTITY");
    assert.equal(judged([], { peerIncarnation: "a0" }), "INCARNATION");
  });

  it("resumes a link that is known, on a connection later than any before", () => {
    assert.equal(judged([link("l1")], { connection: 4, resume: true }), "resume l1");
    assert.equal(judged([link("l1")], { connection: 3, resume: true }), "STALE");
    assert.equal(judged([link("l1")], { connection: 4 }), "resume l1", "its welcome may have been lost");
    const once = link("l1");
    assert.equal(judged([once], { connection: 9, resume: true }), "resume l1");
    assert.equal(judged([once], { connection: 8, resume: true }), "STALE");
  });

  it("resumes nothing that was given up", () => {
    assert.equal(judged([], { resume: true }), "UNKNOWN_LINK");
    assert.equal(judged([link("other")], { resume: true }), "UNKNOWN_LINK");
  });

  it("leaves a link to the life of the process that has it", () => {
    assert.equal(judged([link("l1")], { connection: 9, processId: "bank/c" }), "IDENTITY");
    assert.equal(judged([link("l1")], { connection: 9, incarnation: "b2", resume: true }), "IDENTITY");
    assert.equal(judged([link("l1")], { giveUp: true, processId: "bank/c" }), "IDENTITY");
  });

  it("closes a link when its dialler says that it is over, however late it says so", () => {
    const over = "CLOSED; l1: process bank/b has given the link up";
    assert.equal(judged([link("l1")], { resume: true, giveUp: true }), over);
    assert.equal(judged([], { resume: true, giveUp: true }), "CLOSED");
  });

  it("makes an end of the links that a new one replaces, and of no others", () => {
    const links = [
      link("connected"),
      link("broken", { connected: false }),
      link("dialled", { connected: false, role: "dialler" }),
      link("earlier", { peer: { ...peer, incarnation: "b0" } }),
      link("stranger", { connected: false, peer: { processId: "bank/c", incarnation: "b0" } }),
    ];
    const closing = "broken: process bank/b has made a new link; earlier: process bank/b was restarted";
    assert.equal(judged(links, {}), `open; ${closing}`);
    assert.equal(judged(links, { linkId: "new", resume: true }), "UNKNOWN_LINK", "a refused one closes nothing");
  });
});
