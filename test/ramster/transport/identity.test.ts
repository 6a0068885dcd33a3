// The node that a certificate names, and addresses of nodes as people write them.
import { webcrypto, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nodeAddressText, parseNodeAddress } from '../../../src/ramster/transport/address.ts';
import { nodeNameOf } from '../../../src/ramster/transport/identity.ts';
import { makeAuthority } from '../certificates.ts';

type Name = { type: 'url' | 'dns' | 'ip' | 'email'; value: string };

/** A certificate with any names, which no other part of it supports. */
async function certificateWith(names: Name[]): Promise<X509Certificate> {
  await import('reflect-metadata');
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const extensions = names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)];
  const made = await X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: ['tmem:node:alpha'] }],
      keys,
      extensions,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    },
    webcrypto,
  );
  return new X509Certificate(made.toString('pem'));
}

describe('the node that a certificate names', () => {
  test('is that of its URI, among names of other kinds', async () => {
    const authority = await makeAuthority();
    const addresses = ['10.0.0.1', '::1', 'alpha.example', 'tmem'];
    const { cert } = await authority.node('a-1.b_2', { addresses });
    expect(nodeNameOf(new X509Certificate(cert))).toBe('a-1.b_2');
    expect(nodeNameOf(new X509Certificate(authority.issued.certificate))).toBe(undefined);
  });

  test.each<[string, Name[]]>([
    ['without alternative names', []],
    ['with a common name only', [{ type: 'dns', value: 'alpha' }]],
    ['with the name as another kind of name', [{ type: 'dns', value: 'tmem:node:alpha' }]],
    ['with another URI', [{ type: 'url', value: 'https://alpha/tmem:node:alpha' }]],
    ['with an empty name', [{ type: 'url', value: 'tmem:node:' }]],
    ['with a name that no node may have', [{ type: 'url', value: 'tmem:node:a/b' }]],
    ['with a name that is too long', [{ type: 'url', value: `tmem:node:${'a'.repeat(41)}` }]],
    [
      'with two names',
      [
        { type: 'url', value: 'tmem:node:alpha' },
        { type: 'url', value: 'tmem:node:beta' },
      ],
    ],
    ['with a name that hides another', [{ type: 'dns', value: 'x, URI:tmem:node:alpha' }]],
    ['with a name that hides another in quotes', [{ type: 'dns', value: 'x", URI:tmem:node:alpha, DNS:"y' }]],
    ['with a comma in the name', [{ type: 'url', value: 'tmem:node:alpha, DNS:x' }]],
  ])('is none %s', async (_, names) => {
    expect(nodeNameOf(await certificateWith(names))).toBe(undefined);
  });
});

describe('an address of a node', () => {
  test.each([
    ['10.0.0.1:7077', { host: '10.0.0.1', port: 7077 }],
    ['alpha.example:1', { host: 'alpha.example', port: 1 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['[fe80::1%eth0]:7077', { host: 'fe80::1%eth0', port: 7077 }],
    ['unix:/run/tmem/node.sock', { path: '/run/tmem/node.sock' }],
  ])('%s is read and written alike', (text, address) => {
    expect(parseNodeAddress(text)).toEqual(address);
    expect(nodeAddressText(parseNodeAddress(text))).toBe(text);
  });

  test.each([
    '',
    'alpha',
    ':7077',
    '::1:7077',
    'alpha:65536',
    'alpha:-1',
    'tcp://alpha:1',
    'unix:relative.sock',
    `unix:/${'a'.repeat(107)}`,
    'unix:/a\0b',
  ])('%j is none, and the error says what one looks like', (text) => {
    expect(() => parseNodeAddress(text)).toThrow(
      expect.objectContaining({
        code: 'TMEM_ERR_SETTING',
        message: expect.stringContaining(
          "must be 'host:port', '[::1]:port', or 'unix:' and an absolute path",
        ),
      }),
    );
  });
});
