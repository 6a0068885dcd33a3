/** An authority and certificates of nodes, in memory. */
import { type Issued, issueAuthority, issueNode, type Validity } from '../../src/cli/cert/issue.ts';
import type { NodeCertificates } from '../../src/ramster/transport/identity.ts';

const HOUR_MS = 3_600_000;

export interface NodeOptions {
  /** Host names and IP addresses. */
  readonly addresses?: readonly string[];
  /** From an hour ago for a day. */
  readonly validity?: Validity;
}

export class Authority {
  readonly issued: Issued;

  constructor(issued: Issued) {
    this.issued = issued;
  }

  /** What SocketTransport and ChannelListener of that node are given. */
  async node(
    name: string,
    { addresses = [], validity = hours(-1, 24) }: NodeOptions = {},
  ): Promise<NodeCertificates> {
    const { certificate, key } = await issueNode(this.issued, name, addresses, validity);
    return { cert: certificate, key, ca: this.issued.certificate };
  }
}

export async function makeAuthority(name = 'test authority', validity = hours(-2, 48)): Promise<Authority> {
  return new Authority(await issueAuthority(name, validity));
}

/** Hours from now. */
export function hours(from: number, until: number): Validity {
  const now = Date.now();
  return { notBefore: new Date(now + from * HOUR_MS), notAfter: new Date(now + until * HOUR_MS) };
}
