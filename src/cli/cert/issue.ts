/**
 * Making certificates: a private authority, and nodes that it vouches for. ECDSA on P-256, as every TLS 1.3 peer knows.
 *
 *   authority   basic constraints: CA, signs nothing but end entities; may sign certificates
 *   node        SAN: URI tmem:node:NAME, and the addresses at which others connect to it; may be server and client
 *
 * The URI is what RAMster goes by (src/ramster/transport/identity.ts); the addresses are for clients that compare the
 * certificate with the host they connected to, as those of NBD do.
 */

import { createPrivateKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { nodeUri } from '../../ramster/transport/identity.ts';
import { CommandError } from '../command-line.ts';

/** PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const PACKAGES = '@peculiar/x509 reflect-metadata';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * Optional packages: who makes no certificates needs none of them. The first gives the second `Reflect.getMetadata`.
 */
async function x509() {
  try {
    await import('reflect-metadata');
    return await import('@peculiar/x509');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new CommandError(
      `certificates are made by packages that are not installed: npm install ${PACKAGES}`,
    );
  }
}

/** @param name - common name of the authority, 1 to 64 characters */
export async function issueAuthority(name: string, validity: Validity): Promise<Issued> {
  const library = await x509();
  const keys = await newKeys();
  const certificate = await library.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: ALGORITHM,
      ...validity,
      extensions: [
        new library.BasicConstraintsExtension(true, 0, true),
        new library.KeyUsagesExtension(
          library.KeyUsageFlags.keyCertSign | library.KeyUsageFlags.cRLSign,
          true,
        ),
        await library.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: pemText(certificate.toString('pem')), key: await keyText(keys.privateKey) };
}

/**
 * @param addresses - host names and IP addresses
 * @throws CommandError if the authority is none, or its key is another one's
 */
export async function issueNode(
  authority: Issued,
  name: string,
  addresses: readonly string[],
  validity: Validity,
): Promise<Issued> {
  const library = await x509();
  const signer = signerOf(authority);
  const issuer = new library.X509Certificate(signer.certificate.raw);
  const keys = await newKeys();
  const { serverAuth, clientAuth } = library.ExtendedKeyUsage;
  const certificate = await library.X509CertificateGenerator.create(
    {
      subject: [{ CN: [name] }],
      issuer: issuer.subjectName,
      publicKey: keys.publicKey,
      signingKey: await signingKeyOf(signer.key),
      signingAlgorithm: ALGORITHM,
      ...validity,
      extensions: [
        new library.BasicConstraintsExtension(false, undefined, true),
        new library.KeyUsagesExtension(library.KeyUsageFlags.digitalSignature, true),
        new library.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
        new library.SubjectAlternativeNameExtension([
          { type: 'url', value: nodeUri(name) },
          ...addresses.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }) as const),
        ]),
        await library.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await library.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: pemText(certificate.toString('pem')), key: await keyText(keys.privateKey) };
}

/**
 * The authority as it signs.
 *
 * @throws CommandError if it is none, or its key is another one's
 */
export function signerOf(authority: Issued): {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
} {
  const { certificate, key } = parsed(authority);
  if (!certificate.ca) throw new CommandError('the certificate of the authority is not that of an authority');
  if (!certificate.checkPrivateKey(key)) {
    throw new CommandError('the key of the authority does not belong to its certificate');
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new CommandError('the key of the authority is not an ECDSA key on P-256, as tmem cert makes them');
  }
  return { certificate, key };
}

function parsed({ certificate, key }: Issued) {
  try {
    return { certificate: new X509Certificate(certificate), key: createPrivateKey(key) };
  } catch (error) {
    throw new CommandError(`the authority cannot be used: ${(error as Error).message}`);
  }
}

async function signingKeyOf(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const bytes = key.export({ type: 'pkcs8', format: 'der' });
  return await webcrypto.subtle.importKey('pkcs8', bytes, ALGORITHM, false, ['sign']);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function keyText(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString();
}

/** Text files end with a line feed. */
function pemText(pem: string): string {
  return `${pem.trimEnd()}\n`;
}
