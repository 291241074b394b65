import { createHash } from "node:crypto";
import type { Snapshot } from "@cutline/proto/snapshot";
import { certificateText, checkCertificate } from "@cutline/protocol";
import type { Findings } from "./findings.ts";

/** What the manifest must say of itself: that it has ended well, that its channels prove the cut, and how exact it is. */
export function checkManifest(snapshot: Snapshot, findings: Findings): void {
  checkPhase(snapshot, findings);
  checkChannels(snapshot, findings);
  checkDigest(snapshot, findings);
  checkEnds(snapshot, findings);
  checkExactness(snapshot, findings);
}

function checkPhase(snapshot: Snapshot, findings: Findings): void {
  if (snapshot.phase !== "Completed") {
    findings.add("document", "NotCompleted", `the snapshot is ${snapshot.phase}, and only a Completed one is proven`);
  }
  const seen = new Set<string>();
  for (const { id } of snapshot.processes) {
    if (seen.has(id)) {
      findings.add("document", "ProcessListedTwice", `the manifest lists the process ${id} twice`, { processId: id });
    }
    seen.add(id);
  }
}

function checkChannels(snapshot: Snapshot, findings: Findings): void {
  const { certificate, channels } = snapshot;
  const { verdict, violations } = checkCertificate(channels);
  for (const { code, message, channelId } of violations) findings.add("certificate", code, message, { channelId });
  if (certificate === undefined) {
    findings.add("certificate", "CertificateMissing", "the manifest has no certificate");
    return;
  }
  if (certificate.verdict !== verdict) {
    const message = `the certificate says ${certificate.verdict || "nothing"}, its own channels say ${verdict}`;
    findings.add("certificate", "VerdictDiffers", message);
  }
  if (certificate.channels !== channels.length) {
    const message = `the certificate covers ${certificate.channels} channels, the manifest lists ${channels.length}`;
    findings.add("certificate", "ChannelCountDiffers", message);
  }
  const wrong = new Set(violations.map(({ channelId }) => channelId));
  for (const { id, verdict: said } of channels) {
    if (said !== "consistent" && !wrong.has(id)) {
      const message = `channel ${id} is consistent by its numbers, but its verdict is "${said}"`;
      findings.add("certificate", "VerdictDiffers", message, { channelId: id });
    }
  }
}

function checkDigest(snapshot: Snapshot, findings: Findings): void {
  const { certificate, channels } = snapshot;
  if (certificate === undefined) return;
  const digest = createHash("sha256").update(certificateText(channels)).digest("hex");
  if (digest !== certificate.digest) {
    const message = `the channels' numbers have the SHA-256 ${digest}, the certificate was made over ${certificate.digest || "none"}`;
    findings.add("digest", "DigestDiffers", message);
  }
}

/** A report can only come from a process that is in the picture. */
function checkEnds(snapshot: Snapshot, findings: Findings): void {
  const processes = new Set(snapshot.processes.map(({ id }) => id));
  for (const { id, from, to, senderReported, receiverReported } of snapshot.channels) {
    for (const [end, reported] of [[from, senderReported] as const, [to, receiverReported] as const]) {
      if (reported && !processes.has(end)) {
        const message = `channel ${id} was reported by ${end}, which is not among the snapshot's processes`;
        findings.add("channels", "ChannelEndUnknown", message, { channelId: id });
      }
    }
  }
}

/** I4: what is not proven exact must say so, with the reason. */
function checkExactness(snapshot: Snapshot, findings: Findings): void {
  const inexact = snapshot.processes.filter(({ stored, exact }) => stored && !exact);
  if (snapshot.exact) {
    for (const { id } of inexact) {
      const message = `the snapshot says it is exact, but the process ${id} is not`;
      findings.add("exactness", "ExactWithoutProof", message, { processId: id });
    }
    if (snapshot.certificate?.verdict !== "valid") {
      findings.add("exactness", "ExactWithoutProof", "the snapshot says it is exact without a valid certificate");
    }
    return;
  }
  if (snapshot.reasons.length === 0 && snapshot.processes.every(({ reasons }) => reasons.length === 0)) {
    findings.add("exactness", "InexactWithoutReason", "the snapshot says it is not exact, and gives no reason");
  }
  for (const { id, reasons } of inexact) {
    if (reasons.length === 0 && !snapshot.reasons.some(({ processId }) => processId === id)) {
      const message = `the process ${id} is not exact, and no reason is given`;
      findings.add("exactness", "InexactWithoutReason", message, { processId: id });
    }
  }
}
