import type { Link } from "../dataplane/link/link.ts";

/** Peers whose links are counted by name; beyond it they are counted together as `other`. */
const peersMax = 200;

/** What was counted of the links with one peer. */
export interface LinkTotals {
  resumes: number;
  sentFrames: number;
  receivedFrames: number;
  /** Links given up. */
  lost: number;
}

/** Counts of links by peer that outlive the links. */
export class LinkBook {
  readonly #gone = new Map<string, LinkTotals>();

  /** A link is dead. */
  lost(link: Link): void {
    const totals = this.#totals(this.#gone, link.peer.processId);
    add(totals, link);
    totals.lost += 1;
  }

  /** By peer, those of `links` included. */
  totals(links: Iterable<Link>): ReadonlyMap<string, LinkTotals> {
    const all = new Map([...this.#gone].map(([peer, totals]) => [peer, { ...totals }]));
    for (const link of links) add(this.#totals(all, link.peer.processId), link);
    return all;
  }

  #totals(all: Map<string, LinkTotals>, peer: string): LinkTotals {
    const key = all.has(peer) || all.size < peersMax ? peer : "other";
    let totals = all.get(key);
    if (totals === undefined) {
      totals = { resumes: 0, sentFrames: 0, receivedFrames: 0, lost: 0 };
      all.set(key, totals);
    }
    return totals;
  }
}

function add(totals: LinkTotals, link: Link): void {
  totals.resumes += Math.max(0, link.attachments - 1);
  totals.sentFrames += link.lastSent;
  totals.receivedFrames += link.receivedThrough;
}
