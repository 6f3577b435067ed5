import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  createCertificateAuthority,
  readCertificateAuthority,
} from '../../../src/pki/certificate-authority.ts';
import type { CertificatePair } from '../../../src/pki/key-pair.ts';
import { generatePrivateKey } from '../../../src/pki/key-pair.ts';
import { issueServerCertificate } from '../../../src/pki/server-certificate.ts';
import type { ServerCertificateRequest } from '../../../src/pki/server-certificate.ts';

/** 2026-01-31T03:00:00Z, in milliseconds. */
export const NOW = Date.UTC(2026, 0, 31, 3);
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** Sixteen bytes that are as random as a test wants them. */
export function serialOf(seed: string): Uint8Array {
  return createHash('sha256').update(seed).digest().subarray(0, 16);
}

export const keys: Readonly<Record<'authority' | 'other' | 'server', KeyObject>> = {
  authority: await generatePrivateKey(),
  other: await generatePrivateKey(),
  server: await generatePrivateKey(),
};

/** An authority that is valid for ten years from `NOW`, with small changes. */
export function authorityPair(
  changes: Partial<Parameters<typeof createCertificateAuthority>[0]> = {},
): CertificatePair {
  return createCertificateAuthority({
    commonName: 'team.apps',
    notBefore: NOW,
    notAfter: NOW + 3650 * DAY,
    serial: serialOf('authority'),
    key: keys.authority,
    ...changes,
  });
}

/** A server certificate of `authorityPair()` for 90 days from `NOW`, with small changes. */
export function serverPair(changes: Partial<ServerCertificateRequest> = {}): CertificatePair {
  return issueServerCertificate({
    authority: readCertificateAuthority(authorityPair()),
    dnsNames: ['registry.example.com'],
    ipAddresses: ['10.0.0.1', 'fd00::1'],
    notBefore: NOW,
    notAfter: NOW + 90 * DAY,
    serial: serialOf('server'),
    key: keys.server,
    ...changes,
  });
}
