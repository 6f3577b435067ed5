import { parseDuration } from '../contract/duration.ts';
import type { Stored } from '../kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { bundleOf, certificatesIn, intermediatesOf } from '../pki/certificate-chain.ts';
import { inspectCertificate, isSignedBy } from '../pki/inspect.ts';
import { keyAlgorithmOf, type CertificatePair } from '../pki/key-pair.ts';
import { permittedNames, samePermittedNames } from '../pki/name-constraints.ts';
import { authorityProblem, BACKDATE_MS } from '../pki/renewal.ts';
import { planRotation, type RotationPlan, type RotationTimes } from '../pki/rotation.ts';
import { applyChild } from './apply-child.ts';
import { authorityLine, type AuthorityLine } from './authority-line.ts';
import { childNames } from './child-names.ts';
import { mayBeUsed, notPermitted } from './credentials.ts';
import {
  desiredTrustBundle,
  permittedBySpec,
  publicationTimes,
  PUBLISHED_ANNOTATION,
} from './desired-authority.ts';
import { findSecret } from './referenced-secret.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { readIfFits, readServed } from './resource-types.ts';
import { dataText } from './secret-data.ts';
import type { Served } from './served.ts';
import { sharedAuthorityObstacle, usesSharedAuthority } from './shared-authority.ts';
import { shareTrustBundle } from './share-steps.ts';
import { sharersOf } from './world.ts';

/** A Secret without our label changes unseen. */
const UNWATCHED_MS = 30_000;

/** An authority of a Registry and the Secret that it is in. */
export interface KeptAuthority {
  readonly name: string;
  readonly uid: string;
  readonly pair: CertificatePair;
  /** In milliseconds since the epoch. */
  readonly madeAt: number;
  readonly publishedAt: number | undefined;
}

/** The authorities of a Registry: usually one, and for a while a second that takes over. */
export async function keepAuthorities(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry } = look;
  const { mode, caSecretRef } = registry.spec.tls;
  if (mode !== 'Managed') return done;
  if (caSecretRef !== undefined) return useOwnAuthority(tools, look, caSecretRef.name);
  const obstacle = sharedAuthorityObstacle(tools, registry);
  if (obstacle !== undefined) return obstacle;
  const line = authorityLine(tools, registry);
  const names = await line.names();
  const authorities: KeptAuthority[] = [];
  for (const name of names.length === 0 ? [line.next()] : names) {
    const outcome = await keepAuthority(tools, line, name, authorities);
    if (outcome !== undefined) return outcome;
  }
  if (rotationOf(tools, registry, authorities).make) {
    const name = line.next(authorities.at(-1)?.name);
    const outcome = await keepAuthority(tools, line, name, authorities);
    if (outcome !== undefined) return outcome;
    tools.events.record(registry, {
      type: 'Normal',
      reason: 'AuthorityMade',
      action: 'RotateAuthority',
      note: `Made the certificate authority ${name}. It signs when its certificate has been in the bundle long enough.`,
    });
  }
  look.authorities = authorities;
  look.trusted = authorities.map(({ pair }) => pair.certificate).join('');
  return done;
}

async function keepAuthority(
  { clock }: RegistryTools,
  line: AuthorityLine,
  name: string,
  found: KeptAuthority[],
): Promise<Outcome | undefined> {
  const { object: secret, outcome } = await line.keep(name);
  if (outcome !== undefined) return outcome;
  const pair = pairIn(secret);
  const problem = authorityProblem(pair, clock.now());
  // One that has ended is replaced like one that is about to end.
  if ((problem !== undefined && problem.reason !== 'Expired') || !isWhole(pair)) {
    return stalled('AuthorityUnusable', `The Secret ${name} can not be used: ${problem?.message ?? ''}`);
  }
  const { uid, creationTimestamp } = secret.metadata;
  const madeAt = Date.parse(creationTimestamp);
  found.push({ name, uid, pair, madeAt, publishedAt: line.publishedAt(secret) });
  return undefined;
}

/** One that the user brings. The bundle is the user's as well: it may hold the next one already. */
async function useOwnAuthority(tools: RegistryTools, look: RegistryLook, name: string): Promise<Outcome> {
  const { clock } = tools;
  const secret = await findSecret(tools, look.registry.metadata.namespace, name);
  if (secret === undefined) {
    return waiting(
      UNWATCHED_MS,
      'SecretNotFound',
      `There is no Secret ${name}, which spec.tls.caSecretRef names. Make it, with tls.crt and tls.key of the authority.`,
    );
  }
  if (!mayBeUsed(secret)) return waiting(UNWATCHED_MS, 'NotPermitted', notPermitted(name));
  const pair = pairIn(secret);
  const problem = authorityProblem(pair, clock.now());
  if (problem !== undefined || !isWhole(pair)) {
    return stalled('AuthorityUnusable', `The Secret ${name} can not be used: ${problem?.message ?? ''}`);
  }
  const given = dataText(secret, 'ca.crt') ?? '';
  const chain = bundleOf(pair.certificate);
  const trusted = given === '' ? chain && certificatesIn(chain).at(-1) : bundleOf(given);
  if (chain === undefined || trusted === undefined) {
    const key = chain === undefined ? 'tls.crt' : 'ca.crt';
    return stalled(
      'AuthorityUnusable',
      `The Secret ${name} can not be used: ${key} is no certificates in PEM.`,
    );
  }
  const uid = secret.metadata.uid ?? '';
  look.authorities = [{ name, uid, pair, madeAt: clock.now(), publishedAt: undefined }];
  look.trusted = trusted;
  return done;
}

/** The bundle that clients trust. An authority that is new in it may sign once it has been there long enough. */
export async function publishTrustBundle(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  if (look.trusted === undefined) return done;
  if (usesSharedAuthority(look.registry)) return publishSharedAuthorities(tools, look, look.trusted);
  const { kube, world, clock } = tools;
  const desired = desiredTrustBundle(look.registry, look.trusted);
  const child = await applyChild(kube, world.configMaps, look.registry, desired);
  if (child.outcome !== undefined) return child.outcome;
  await shareTrustBundle(tools, look);
  const published: KeptAuthority[] = [];
  // The first needs no patience: nobody trusts an earlier one.
  for (const [index, authority] of (look.authorities ?? []).entries()) {
    if (index === 0 || authority.publishedAt !== undefined) {
      published.push(authority);
      continue;
    }
    const publishedAt = clock.now();
    const annotations = { [PUBLISHED_ANNOTATION]: new Date(publishedAt).toISOString() };
    const { namespace } = look.registry.metadata;
    const { name, uid } = authority;
    await kube.patch(world.secrets.type, { namespace, name }, { metadata: { uid, annotations } });
    published.push({ ...authority, publishedAt });
  }
  look.authorities = published;
  return done;
}

/** What others share is published by each on its own: the time is kept in the bundle, not with the authority. */
async function publishSharedAuthorities(
  tools: RegistryTools,
  look: RegistryLook,
  trusted: string,
): Promise<Outcome> {
  const { kube, world, clock } = tools;
  const { registry, authorities = [] } = look;
  const { type } = world.configMaps;
  const key = { namespace: registry.metadata.namespace, name: childNames(registry).trustBundle };
  const bundle = world.configMaps.get(key) ?? (await kube.find(type, key));
  const before = publicationTimes(bundle);
  const published = authorities.map((authority) => {
    // Nobody has an older bundle of a Registry that is new.
    const now = bundle === undefined ? authority.madeAt : clock.now();
    return { ...authority, publishedAt: before[authority.name] ?? now };
  });
  const write = async (told: readonly (typeof published)[number][]): Promise<Outcome> => {
    const times = Object.fromEntries(told.map(({ name, publishedAt }) => [name, publishedAt]));
    const desired = desiredTrustBundle(registry, trusted, times);
    return (await applyChild(kube, world.configMaps, registry, desired)).outcome ?? done;
  };
  const known = published.filter(({ name }) => bundle === undefined || before[name] !== undefined);
  const written = await write(known);
  if (written.kind !== 'done') return written;
  await shareTrustBundle(tools, look);
  // Only now can everybody have it.
  if (known.length < published.length) {
    const timed = await write(published);
    if (timed.kind !== 'done') return timed;
  }
  look.authorities = published;
  return done;
}

/** The authority that signs now, with the certificates that a server sends along. */
export function signingAuthority(
  tools: RegistryTools,
  look: RegistryLook,
):
  | { readonly pair: CertificatePair; readonly chain: string; readonly plan: RotationPlan | undefined }
  | undefined {
  const { authorities = [], registry } = look;
  const own = registry.spec.tls.caSecretRef !== undefined;
  const plan = own || authorities.length === 0 ? undefined : rotationOf(tools, registry, authorities);
  const authority =
    plan === undefined ? authorities[0] : authorities.find(({ name }) => name === plan.signer);
  if (authority === undefined) return undefined;
  const { pair } = authority;
  return { pair, chain: intermediatesOf(pair.certificate).join(''), plan };
}

function rotationOf(
  { world, clock }: Pick<RegistryTools, 'world' | 'clock'>,
  registry: Stored<Served>,
  authorities: readonly KeptAuthority[],
): RotationPlan {
  const { namespace } = registry.metadata;
  const server = dataText(
    world.secrets.get({ namespace, name: childNames(registry).certificate }),
    'tls.crt',
  );
  return planRotation(
    {
      authorities: authorities.map((authority) => {
        const { notBefore, notAfter, x509 } = inspectCertificate(authority.pair.certificate);
        const algorithm = keyAlgorithmOf(x509.publicKey);
        const fitsSpec =
          usesSharedAuthority(registry) ||
          // A key of another kind was chosen by whoever gave the authority to the Registry.
          ((algorithm === undefined || algorithm === registry.spec.tls.keyAlgorithm) &&
            samePermittedNames(permittedNames(x509), permittedBySpec(registry)));
        return { name: authority.name, publishedAt: authority.publishedAt, notBefore, notAfter, fitsSpec };
      }),
      issued: server === undefined ? undefined : issuedBy(registry, server, authorities),
      now: clock.now(),
    },
    rotationTimes(registry),
  );
}

/** Undefined: what is there is no certificate, and is replaced by one. */
function issuedBy(registry: Served, server: string, authorities: readonly KeptAuthority[]) {
  if (bundleOf(server) === undefined) return undefined;
  const certificate = inspectCertificate(server);
  const served = registry.status?.certificate;
  return {
    by: authorities.find(({ pair }) => isSignedBy(certificate, inspectCertificate(pair.certificate)))?.name,
    at: certificate.notBefore + BACKDATE_MS,
    serving: served?.serial === certificate.serial && served.serving,
  };
}

function rotationTimes({ spec: { tls } }: Served): RotationTimes {
  return {
    overlapMs: parseDuration(tls.rotation.overlap) ?? 0,
    graceMs: parseDuration(tls.rotation.grace) ?? 0,
    certificateMs: parseDuration(tls.duration) ?? 0,
  };
}

/** Those that have done their work. Last, when the certificate of another is served. */
export async function retireAuthorities(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world, events, operatorNamespace } = tools;
  const { registry, authorities = [] } = look;
  const retire = signingAuthority(tools, look)?.plan?.retire ?? [];
  const isShared = usesSharedAuthority(registry);
  const namespace = isShared ? operatorNamespace : registry.metadata.namespace;
  for (const { name, uid } of authorities) {
    if (!retire.includes(name) || (isShared && !isDoneForAll(tools, authorities, name))) continue;
    await kube.delete(world.secrets.type, { namespace, name }, { uid });
    events.record(registry, {
      type: 'Normal',
      reason: 'AuthorityRetired',
      action: 'RotateAuthority',
      note: `Took the certificate authority ${name} out of the bundle: no server has a certificate of it any more.`,
    });
  }
  return done;
}

/** Whether each that may share the authorities would let that one go. Looks no further than the first that would not. */
function isDoneForAll(tools: RegistryTools, authorities: readonly KeptAuthority[], name: string): boolean {
  const { world } = tools;
  return sharersOf(world).every((object) => {
    if (object.metadata.deletionTimestamp !== undefined) return true;
    const other = readIfFits(object, readServed);
    if (other === undefined) return false;
    if (sharedAuthorityObstacle(tools, other) !== undefined) return true;
    const { namespace } = other.metadata;
    const bundle = world.configMaps.get({ namespace, name: childNames(other).trustBundle });
    const times = publicationTimes(bundle);
    const published = authorities.map((one) => ({ ...one, publishedAt: times[one.name] }));
    return rotationOf(tools, other, published).retire.includes(name);
  });
}

function pairIn(secret: Secret): Partial<CertificatePair> {
  const certificate = dataText(secret, 'tls.crt');
  const key = dataText(secret, 'tls.key');
  return { ...(certificate !== undefined && { certificate }), ...(key !== undefined && { key }) };
}

function isWhole(pair: Partial<CertificatePair>): pair is CertificatePair {
  return pair.certificate !== undefined && pair.key !== undefined;
}
