import { inspectCertificate, isSignedBy, keyFitsCertificate, UnreadablePemError } from './inspect.ts';
import type { InspectedCertificate } from './inspect.ts';
import { canSign } from './build-certificate.ts';
import { keyAlgorithmOf, type CertificatePair, type KeyAlgorithm } from './key-pair.ts';
import { sameNames } from './subject-alternative-names.ts';
import type { SubjectAlternativeNames } from './subject-alternative-names.ts';

/** Certificates begin this long before they are made, for clients whose clock is behind. */
export const BACKDATE_MS = 5 * 60_000;

export interface Validity {
  /** Milliseconds since the epoch, whole seconds, as a certificate holds them. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * From a little before `now` until `durationMs` after it, but not beyond `limit`, the end of the authority.
 */
export function validity(now: number, durationMs: number, limit = Infinity): Validity {
  return {
    notBefore: wholeSeconds(now - BACKDATE_MS),
    notAfter: Math.min(wholeSeconds(now + durationMs), limit),
  };
}

/**
 * When a certificate is to be renewed, in milliseconds since the epoch: `renewBeforeMs` before its end, or after two
 * thirds of the lifetime that it was issued for. A `renewBeforeMs` as long as that lifetime, which an authority near
 * its end may have cut short, would renew it all the time: then two thirds, too.
 */
export function renewalTime(certificate: Validity, renewBeforeMs?: number): number {
  const { notBefore, notAfter } = certificate;
  const lifetime = notAfter - notBefore;
  const before =
    renewBeforeMs !== undefined && renewBeforeMs < lifetime - BACKDATE_MS ? renewBeforeMs : lifetime / 3;
  return wholeSeconds(notAfter - before);
}

/** Everything that decides whether a server certificate is to be issued anew. */
export interface RenewalState {
  /** What the Secret holds; undefined: there is no Secret. */
  readonly stored: Partial<CertificatePair> | undefined;
  readonly authority: InspectedCertificate;
  readonly desired: SubjectAlternativeNames;
  /** The kind of key that it is to have; undefined: any. */
  readonly keyAlgorithm?: KeyAlgorithm;
  /** For how long a certificate is issued. */
  readonly durationMs: number;
  readonly renewBeforeMs: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Finding<Reason extends string> {
  /** One word, for programs. */
  readonly reason: Reason;
  /** For people. Never holds a part of a key. */
  readonly message: string;
}

export type RenewalReason =
  | 'SecretMissing'
  | 'KeysMissing'
  | 'Unreadable'
  | 'KeyMismatch'
  | 'AuthorityChanged'
  | 'KeyAlgorithmChanged'
  | 'NamesChanged'
  | 'DurationChanged'
  | 'NotYetValid'
  | 'Expired'
  | 'RenewalDue';

/**
 * Why a server certificate is to be issued anew; undefined while it is not. The first check that finds something wins.
 * Ask `authorityProblem` first: an authority that cannot sign makes no better certificate.
 */
export function renewalReason(state: RenewalState): Finding<RenewalReason> | undefined {
  const { stored } = state;
  if (stored === undefined) return { reason: 'SecretMissing', message: 'There was none before.' };
  const { certificate: pem, key } = stored;
  if (!pem || !key) {
    return { reason: 'KeysMissing', message: 'The Secret lacks the certificate or its key.' };
  }
  try {
    const certificate = inspectCertificate(pem);
    if (!keyFitsCertificate(key, certificate)) {
      return { reason: 'KeyMismatch', message: 'The key in the Secret does not belong to the certificate.' };
    }
    return firstFinding(certificate, state);
  } catch (error) {
    if (!(error instanceof UnreadablePemError)) throw error;
    return { reason: 'Unreadable', message: `What the Secret holds is ${error.message}.` };
  }
}

type Check = (certificate: InspectedCertificate, state: RenewalState) => Finding<RenewalReason> | undefined;

function firstFinding(
  certificate: InspectedCertificate,
  state: RenewalState,
): Finding<RenewalReason> | undefined {
  for (const check of checks) {
    const finding = check(certificate, state);
    if (finding) return finding;
  }
  return undefined;
}

const checks: readonly Check[] = [
  isOfAnotherAuthority,
  hasAnotherKey,
  isForOtherNames,
  isForAnotherDuration,
  isNotYetValid,
  isExpired,
  isDueForRenewal,
];

function isOfAnotherAuthority(
  certificate: InspectedCertificate,
  { authority }: RenewalState,
): ReturnType<Check> {
  if (isSignedBy(certificate, authority)) return undefined;
  return {
    reason: 'AuthorityChanged',
    message: 'The certificate is not signed by the certificate authority.',
  };
}

function hasAnotherKey({ x509 }: InspectedCertificate, { keyAlgorithm }: RenewalState): ReturnType<Check> {
  if (keyAlgorithm === undefined || keyAlgorithmOf(x509.publicKey) === keyAlgorithm) return undefined;
  return { reason: 'KeyAlgorithmChanged', message: `The certificate gets a key of ${keyAlgorithm}.` };
}

function isForOtherNames(certificate: InspectedCertificate, { desired }: RenewalState): ReturnType<Check> {
  if (sameNames(certificate, desired)) return undefined;
  const present = [...certificate.dnsNames, ...certificate.ipAddresses];
  const wanted = [...desired.dnsNames, ...desired.ipAddresses];
  const changes = [
    ...wanted.filter((name) => !present.includes(name)).map((name) => `+${name}`),
    ...present.filter((name) => !wanted.includes(name)).map((name) => `-${name}`),
  ];
  return { reason: 'NamesChanged', message: `The names of the certificate change: ${changes.join(', ')}.` };
}

function isForAnotherDuration(
  { notBefore, notAfter }: InspectedCertificate,
  { durationMs, authority }: RenewalState,
): ReturnType<Check> {
  const expected = validity(notBefore + BACKDATE_MS, durationMs, authority.notAfter).notAfter;
  // Begin and end were each cut to a second.
  if (Math.abs(notAfter - expected) <= 1000) return undefined;
  return { reason: 'DurationChanged', message: 'The certificate was issued for another duration.' };
}

/** Made by a clock that was ahead: clients refuse it until then. */
function isNotYetValid({ notBefore }: InspectedCertificate, { now }: RenewalState): ReturnType<Check> {
  if (now >= notBefore) return undefined;
  return { reason: 'NotYetValid', message: `The certificate is not valid before ${iso(notBefore)}.` };
}

function isExpired({ notAfter }: InspectedCertificate, { now }: RenewalState): ReturnType<Check> {
  if (now < notAfter) return undefined;
  return { reason: 'Expired', message: `The certificate expired at ${iso(notAfter)}.` };
}

function isDueForRenewal(certificate: InspectedCertificate, state: RenewalState): ReturnType<Check> {
  // One that lasts as long as its authority gains nothing: near the end it would be renewed over and over.
  if (certificate.notAfter >= state.authority.notAfter) return undefined;
  const due = renewalTime(certificate, state.renewBeforeMs);
  if (state.now < due) return undefined;
  return { reason: 'RenewalDue', message: `The certificate was due for renewal at ${iso(due)}.` };
}

export type AuthorityProblem =
  'KeysMissing' | 'Unreadable' | 'KeyMismatch' | 'KeyUnsupported' | 'NotAnAuthority' | 'Expired';

/**
 * What is wrong with a stored authority; undefined when it can sign. An authority is never replaced because of such a
 * finding: clients trust it, and a person must decide.
 */
export function authorityProblem(
  stored: Partial<CertificatePair>,
  now: number,
): Finding<AuthorityProblem> | undefined {
  if (!stored.certificate || !stored.key) {
    return {
      reason: 'KeysMissing',
      message: 'The Secret lacks the certificate or the key of the authority.',
    };
  }
  try {
    const certificate = inspectCertificate(stored.certificate);
    if (!keyFitsCertificate(stored.key, certificate)) {
      return {
        reason: 'KeyMismatch',
        message: 'The key does not belong to the certificate of the authority.',
      };
    }
    if (!canSign(certificate.x509.publicKey)) {
      return { reason: 'KeyUnsupported', message: 'The key of the authority is neither ECDSA nor RSA.' };
    }
    if (!certificate.isAuthority) {
      return { reason: 'NotAnAuthority', message: 'The certificate may not sign others.' };
    }
    if (now >= certificate.notAfter) {
      return {
        reason: 'Expired',
        message: `The certificate authority expired at ${iso(certificate.notAfter)}.`,
      };
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof UnreadablePemError)) throw error;
    return { reason: 'Unreadable', message: `What the Secret holds is ${error.message}.` };
  }
}

/** Times in certificates have no fractions. */
function wholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
