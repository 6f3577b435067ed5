import { X509Certificate } from 'node:crypto';
import { inspectCertificate, isSignedBy, keyFitsCertificate, UnreadablePemError } from './inspect.ts';
import type { CertificatePair } from './key-pair.ts';
import type { Finding } from './renewal.ts';
import type { SubjectAlternativeNames } from './subject-alternative-names.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Every certificate of a PEM text, in its order.
 *
 * @throws {UnreadablePemError} when there is none, or one cannot be read
 */
export function certificatesIn(pem: string): readonly string[] {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0) throw new UnreadablePemError('not a certificate in PEM');
  return blocks.map((block) => inspectCertificate(block).x509.toString());
}

/**
 * The certificates of a PEM text without what else is in it, such as a key, so that anybody may read them. Undefined:
 * there are none, or one cannot be read.
 */
export function bundleOf(pem: string): string | undefined {
  try {
    return certificatesIn(pem).join('');
  } catch (error) {
    if (!(error instanceof UnreadablePemError)) throw error;
    return undefined;
  }
}

/** The first certificate of a PEM text alone. @throws {UnreadablePemError} */
export function leafOf(pem: string): string {
  return inspectCertificate(pem).x509.toString();
}

export type ChainProblem =
  'KeysMissing' | 'Unreadable' | 'KeyMismatch' | 'ChainBroken' | 'NotYetValid' | 'Expired';

/**
 * Why a certificate that somebody else issued must not be served; undefined when it may. The first certificate is the
 * server's, and each further one has signed the one before.
 *
 * @param trusted what clients are told to trust, where that is known: the chain must lead there
 */
export function chainProblem(
  pair: Partial<CertificatePair>,
  trusted: string | undefined,
  now: number,
): Finding<ChainProblem> | undefined {
  if (!pair.certificate || !pair.key) {
    return { reason: 'KeysMissing', message: 'It lacks tls.crt, the certificate, or tls.key, its key.' };
  }
  try {
    const chain = certificatesIn(pair.certificate).map(inspectCertificate);
    const [server] = chain;
    if (server === undefined || !keyFitsCertificate(pair.key, server)) {
      return {
        reason: 'KeyMismatch',
        message: 'The key in tls.key does not belong to the first certificate.',
      };
    }
    const gap = chain.findIndex((one, index) => {
      const next = chain[index + 1];
      return next !== undefined && !isSignedBy(one, next);
    });
    if (gap !== -1) {
      const message = `Certificate ${gap + 2} of tls.crt has not signed certificate ${gap + 1}: write the server's first, then each one's issuer.`;
      return { reason: 'ChainBroken', message };
    }
    if (trusted !== undefined && !leadsTo(chain, certificatesIn(trusted).map(inspectCertificate))) {
      return {
        reason: 'ChainBroken',
        message:
          'No certificate of ca.crt has signed the last one of tls.crt: add the intermediates, or correct ca.crt.',
      };
    }
    return validityProblem(chain, now);
  } catch (error) {
    if (!(error instanceof UnreadablePemError)) throw error;
    return { reason: 'Unreadable', message: `It holds what is ${error.message}.` };
  }
}

type Chain = readonly ReturnType<typeof inspectCertificate>[];

function leadsTo(chain: Chain, trusted: Chain): boolean {
  const last = chain.at(-1);
  return (
    last !== undefined &&
    trusted.some((root) => root.x509.fingerprint256 === last.x509.fingerprint256 || isSignedBy(last, root))
  );
}

function validityProblem(chain: Chain, now: number): Finding<ChainProblem> | undefined {
  const early = chain.find(({ notBefore }) => now < notBefore);
  if (early !== undefined) {
    return { reason: 'NotYetValid', message: `A certificate is not valid before ${iso(early.notBefore)}.` };
  }
  const late = chain.find(({ notAfter }) => now >= notAfter);
  return late && { reason: 'Expired', message: `A certificate ended at ${iso(late.notAfter)}.` };
}

/** The names among `wanted` that a client would not find in the certificate. */
export function missingNames(pem: string, wanted: SubjectAlternativeNames): readonly string[] {
  const certificate = new X509Certificate(pem);
  return [
    ...wanted.dnsNames.filter((name) => certificate.checkHost(name) === undefined),
    ...wanted.ipAddresses.filter((address) => certificate.checkIP(address) === undefined),
  ];
}

/** What signs beside the authority itself: the issuers up to one that signs itself, which clients have. */
export function intermediatesOf(authorityPem: string): readonly string[] {
  return certificatesIn(authorityPem).filter((pem) => {
    const { x509 } = inspectCertificate(pem);
    return !(x509.checkIssued(x509) && x509.verify(x509.publicKey));
  });
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
