/**
 * Who is at the other side of a TLS connection: the node named by the URI `tmem:node:NAME` in a certificate that the
 * cluster's authority signed and that is valid now. Anything else in a certificate (common name, host names) says
 * nothing here.
 *
 * Both sides let the handshake complete and judge then, so that they can say over the connection why they refuse.
 * Nothing from the other side is looked at before that.
 */

import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { TmemError } from '../../zcache/index.ts';
import { isNodeName } from '../place.ts';

/** PEM. */
export interface NodeCertificates {
  /** This node's certificate, and those between it and the authority if there are any. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** The authority of the cluster. */
  readonly ca: string | Buffer;
}

const URI_HEAD = 'tmem:node:';

export function nodeUri(name: string): string {
  return `${URI_HEAD}${name}`;
}

/** The node a certificate names; undefined if it is none, or more than one. */
export function nodeNameOf(certificate: X509Certificate): string | undefined {
  // Node.js quotes a name in which something could be taken for the beginning of another one.
  const names = (certificate.subjectAltName ?? '').replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(', ');
  const head = `URI:${URI_HEAD}`;
  const nodes = names.filter((name) => name.startsWith(head)).map((name) => name.slice(head.length));
  return nodes.length === 1 && isNodeName(nodes[0]) ? nodes[0] : undefined;
}

/**
 * What node:tls is given on both sides.
 *
 * @throws TmemError TMEM_ERR_SETTING if the certificates cannot be used together, or name no node
 */
export function tlsContextOf({ cert, key, ca }: NodeCertificates): SecureContextOptions {
  const options = { cert, key, ca, minVersion: 'TLSv1.3' } as const;
  let own: X509Certificate;
  try {
    createSecureContext(options);
    own = new X509Certificate(cert);
  } catch (cause) {
    const message = `the certificates of the node cannot be used: ${(cause as Error).message}`;
    throw new TmemError('TMEM_ERR_SETTING', message, { cause });
  }
  if (nodeNameOf(own) === undefined) {
    const message = `the certificate of the node has no name of the form URI:${URI_HEAD}NAME; make one with tmem cert`;
    throw new TmemError('TMEM_ERR_SETTING', message);
  }
  return options;
}

export type Verdict = { readonly name: string } | { readonly refused: string };

/**
 * Judges the other side of a connection whose handshake is complete.
 *
 * @param expected - only this node is let in
 */
export function judge(socket: TLSSocket, expected?: string): Verdict {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { refused: 'there is no certificate' };
  if (!socket.authorized) return { refused: distrust(socket, certificate) };
  const name = nodeNameOf(certificate);
  if (name === undefined) return { refused: `the certificate has no name of the form URI:${URI_HEAD}NAME` };
  if (expected !== undefined && name !== expected) {
    return { refused: `the certificate is that of node ${name}, not of ${expected}` };
  }
  return { name };
}

/** Reasons of OpenSSL that mean: signed by somebody else. */
const STRANGERS: ReadonlySet<string> = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function distrust(socket: TLSSocket, { validFrom, validTo }: X509Certificate): string {
  // Typed as an error, but it is the name of OpenSSL's reason.
  const reason = String(socket.authorizationError ?? 'unknown');
  if (reason === 'CERT_HAS_EXPIRED') return `the certificate has expired: it was valid until ${validTo}`;
  if (reason === 'CERT_NOT_YET_VALID') return `the certificate is not valid before ${validFrom}`;
  if (STRANGERS.has(reason)) return 'the certificate was signed by another authority';
  return `the certificate is not accepted: ${reason}`;
}
