import { randomBytes } from 'node:crypto';
import { parseDuration } from '../contract/duration.ts';
import type { Stored } from '../kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { createCertificateAuthority } from '../pki/certificate-authority.ts';
import { bundleOf, certificatesIn, intermediatesOf } from '../pki/certificate-chain.ts';
import { inspectCertificate, isSignedBy } from '../pki/inspect.ts';
import { generatePrivateKey, keyAlgorithmOf, type CertificatePair } from '../pki/key-pair.ts';
import { permittedNames, samePermittedNames } from '../pki/name-constraints.ts';
import { authorityProblem, BACKDATE_MS, validity } from '../pki/renewal.ts';
import { planRotation, type RotationPlan, type RotationTimes } from '../pki/rotation.ts';
import { applyChild } from './apply-child.ts';
import { authorityNumber, childNames, nextAuthorityName, ownerSelector } from './child-names.ts';
import { mayBeUsed, notPermitted } from './credentials.ts';
import {
  desiredAuthority,
  desiredTrustBundle,
  permittedBySpec,
  PUBLISHED_ANNOTATION,
} from './desired-authority.ts';
import { findSecret } from './referenced-secret.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { keepSecret } from './retained-secret.ts';
import { dataText } from './secret-data.ts';
import type { Served } from './served.ts';
import { shareTrustBundle } from './share-steps.ts';
import { childrenIn } from './world.ts';

const AUTHORITY_LIFETIME_MS = 730 * 86_400_000;
/** A Secret without our label changes unseen. */
const UNWATCHED_MS = 30_000;

/** An authority of a Registry and the Secret that it is in. */
export interface KeptAuthority {
  readonly name: string;
  readonly uid: string;
  readonly pair: CertificatePair;
  readonly publishedAt: number | undefined;
}

/** The authorities of a Registry: usually one, and for a while a second that takes over. */
export async function keepAuthorities(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry } = look;
  const { mode, caSecretRef } = registry.spec.tls;
  if (mode !== 'Managed') return done;
  if (caSecretRef !== undefined) return useOwnAuthority(tools, look, caSecretRef.name);
  const names = await authorityNames(tools, registry);
  const authorities: KeptAuthority[] = [];
  for (const name of names.length === 0 ? [childNames(registry).authority] : names) {
    const outcome = await keepAuthority(tools, look, name, authorities);
    if (outcome !== undefined) return outcome;
  }
  if (rotationOf(tools, look, authorities).make) {
    const name = nextAuthorityName(registry, authorities.at(-1)?.name ?? '');
    const outcome = await keepAuthority(tools, look, name, authorities);
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

/** By age. What the caches hold may lag behind, and an authority must never be made because of that. */
async function authorityNames(
  { kube, world }: RegistryTools,
  registry: Stored<Served>,
): Promise<readonly string[]> {
  const { namespace } = registry.metadata;
  const namesOf = (secrets: readonly Secret[]) =>
    secrets
      .map(({ metadata }) => metadata.name)
      .filter((secret) => authorityNumber(registry, secret) !== undefined)
      .toSorted((a, b) => (authorityNumber(registry, a) ?? 0) - (authorityNumber(registry, b) ?? 0));
  const seen = namesOf(childrenIn(world.secrets, registry));
  if (seen.length > 0) return seen;
  const labelSelector = ownerSelector(registry);
  return namesOf((await kube.listAll(world.secrets.type, { namespace, labelSelector })).items);
}

/** Finds or makes the authority of that name. What it says is not changed: clients trust it. */
async function keepAuthority(
  tools: RegistryTools,
  { registry }: RegistryLook,
  name: string,
  found: KeptAuthority[],
): Promise<Outcome | undefined> {
  const child = await keepSecret(tools, registry, name, async () =>
    desiredAuthority(registry, name, await makeAuthority(tools, registry)),
  );
  if (child.outcome !== undefined) return child.outcome;
  const { metadata } = child.object;
  const pair = pairIn(child.object);
  const problem = authorityProblem(pair, tools.clock.now());
  // One that has ended is replaced like one that is about to end.
  if ((problem !== undefined && problem.reason !== 'Expired') || !isWhole(pair)) {
    return stalled('AuthorityUnusable', `The Secret ${name} can not be used: ${problem?.message ?? ''}`);
  }
  const published = Date.parse(metadata.annotations?.[PUBLISHED_ANNOTATION] ?? '');
  found.push({ name, uid: metadata.uid, pair, publishedAt: Number.isNaN(published) ? undefined : published });
  return undefined;
}

async function makeAuthority({ clock }: RegistryTools, registry: Served): Promise<CertificatePair> {
  const { name, namespace } = registry.metadata;
  return createCertificateAuthority({
    commonName: `${name}.${namespace} certificate authority`.slice(0, 64),
    ...validity(clock.now(), AUTHORITY_LIFETIME_MS),
    serial: randomBytes(16),
    key: await generatePrivateKey(registry.spec.tls.keyAlgorithm),
    permitted: permittedBySpec(registry),
  });
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
  look.authorities = [{ name, uid, pair, publishedAt: undefined }];
  look.trusted = trusted;
  return done;
}

/** The bundle that clients trust. An authority that is new in it may sign once it has been there long enough. */
export async function publishTrustBundle(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world, clock } = tools;
  if (look.trusted === undefined) return done;
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

/** The authority that signs now, with the certificates that a server sends along. */
export function signingAuthority(
  tools: RegistryTools,
  look: RegistryLook,
):
  | { readonly pair: CertificatePair; readonly chain: string; readonly plan: RotationPlan | undefined }
  | undefined {
  const { authorities = [], registry } = look;
  const own = registry.spec.tls.caSecretRef !== undefined;
  const plan = own || authorities.length === 0 ? undefined : rotationOf(tools, look, authorities);
  const authority =
    plan === undefined ? authorities[0] : authorities.find(({ name }) => name === plan.signer);
  if (authority === undefined) return undefined;
  const { pair } = authority;
  return { pair, chain: intermediatesOf(pair.certificate).join(''), plan };
}

function rotationOf(
  { world, clock }: RegistryTools,
  { registry }: RegistryLook,
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
          // A key of another kind was chosen by whoever gave the authority to the Registry.
          (algorithm === undefined || algorithm === registry.spec.tls.keyAlgorithm) &&
          samePermittedNames(permittedNames(x509), permittedBySpec(registry));
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
  const { kube, world, events } = tools;
  const { registry } = look;
  const retire = signingAuthority(tools, look)?.plan?.retire ?? [];
  for (const { name, uid } of look.authorities ?? []) {
    if (!retire.includes(name)) continue;
    await kube.delete(world.secrets.type, { namespace: registry.metadata.namespace, name }, { uid });
    events.record(registry, {
      type: 'Normal',
      reason: 'AuthorityRetired',
      action: 'RotateAuthority',
      note: `Took the certificate authority ${name} out of the bundle: no server has a certificate of it any more.`,
    });
  }
  return done;
}

function pairIn(secret: Secret): Partial<CertificatePair> {
  const certificate = dataText(secret, 'tls.crt');
  const key = dataText(secret, 'tls.key');
  return { ...(certificate !== undefined && { certificate }), ...(key !== undefined && { key }) };
}

function isWhole(pair: Partial<CertificatePair>): pair is CertificatePair {
  return pair.certificate !== undefined && pair.key !== undefined;
}
