/**
 * `tmem cert show`: what is in a file of certificates, as the nodes and clients see it.
 */

import { X509Certificate } from 'node:crypto';
import { nodeNameOf } from '../../ramster/transport/identity.ts';
import { CommandError } from '../command-line.ts';
import { type Line, type Span, span } from '../text/line.ts';
import { printable } from '../text/width.ts';
import { readText } from './files.ts';

/** A certificate and those between it and its authority are a handful. */
const CERTIFICATES_MAX = 20;

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export interface Shown {
  readonly subject: string;
  /** The node it names; null if it is none. */
  readonly node: string | null;
  readonly isAuthority: boolean;
  /** Host names and IP addresses. */
  readonly addresses: readonly string[];
  readonly issuer: string;
  /** ISO 8601. */
  readonly validFrom: string;
  readonly validUntil: string;
  readonly state: 'valid' | 'expired' | 'not valid yet';
  readonly sha256: string;
}

/** @throws CommandError if the file has no certificate, or one that cannot be read; the error of the system */
export function readCertificates(path: string, nowMs: number): Shown[] {
  const blocks = readText(path).match(PEM) ?? [];
  if (blocks.length === 0) throw new CommandError(`${path} has no certificate (PEM)`);
  if (blocks.length > CERTIFICATES_MAX)
    throw new CommandError(`${path} has more than ${CERTIFICATES_MAX} certificates`);
  return blocks.map((block) => {
    try {
      return shown(new X509Certificate(block), nowMs);
    } catch (error) {
      throw new CommandError(`${path}: a certificate cannot be read: ${(error as Error).message}`);
    }
  });
}

function shown(certificate: X509Certificate, nowMs: number): Shown {
  const { validFromDate: from, validToDate: until } = certificate;
  const state = until.getTime() < nowMs ? 'expired' : from.getTime() > nowMs ? 'not valid yet' : 'valid';
  return {
    subject: nameText(certificate.subject),
    node: nodeNameOf(certificate) ?? null,
    isAuthority: certificate.ca,
    addresses: addressesOf(certificate.subjectAltName ?? ''),
    issuer: nameText(certificate.issuer),
    validFrom: from.toISOString(),
    validUntil: until.toISOString(),
    state,
    sha256: certificate.fingerprint256,
  };
}

/** Node.js puts each part of a name on a line. */
function nameText(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ');
}

function addressesOf(names: string): string[] {
  return names.split(', ').flatMap((name) => {
    const match = /^(?:DNS|IP Address):(.+)$/.exec(name);
    return match === null ? [] : [match[1] as string];
  });
}

export function certificatesView(certificates: readonly Shown[]): Line[] {
  return certificates.flatMap((certificate, i) => [...(i === 0 ? [] : [[]]), ...view(certificate)]);
}

function view({ subject, node, isAuthority, addresses, issuer, ...certificate }: Shown): Line[] {
  const { validFrom, validUntil, state, sha256 } = certificate;
  const kind = isAuthority ? 'authority' : node === null ? 'certificate' : `node ${node}`;
  const rows: [string, Span[]][] = [
    ['', [span(kind, 'strong')]],
    ['subject', [span(printable(subject))]],
    ['signed by', [span(issuer === subject ? 'itself' : printable(issuer))]],
    ['addresses', [span(addresses.length === 0 ? 'none' : printable(addresses.join(', ')))]],
    ['valid from', [span(validFrom)]],
    ['valid until', [span(validUntil), span(state === 'valid' ? '' : ` (${state})`, 'alarm')]],
    ['sha-256', [span(sha256)]],
  ];
  return rows
    .filter(([title]) => title !== 'addresses' || !isAuthority)
    .map(([title, spans]) => (title === '' ? spans : [span(title.padEnd(13), 'faint'), ...spans]));
}
