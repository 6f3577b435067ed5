import { randomBytes } from 'node:crypto';
import type { Registry } from '../api/registry.ts';
import { parseDuration } from '../contract/duration.ts';
import { isConflict } from '../kube/api-error.ts';
import type { Stored } from '../kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { createCertificateAuthority, readCertificateAuthority } from '../pki/certificate-authority.ts';
import { inspectCertificate } from '../pki/inspect.ts';
import { generatePrivateKey, type CertificatePair } from '../pki/key-pair.ts';
import { authorityProblem, renewalReason, renewalTime, validity, type RenewalState } from '../pki/renewal.ts';
import { issueServerCertificate } from '../pki/server-certificate.ts';
import { servedSubjectAlternativeNames } from '../pki/subject-alternative-names.ts';
import { applyChild, findChild, type Kube } from './apply-child.ts';
import { childMeta, childNames, contentOwnership } from './child-names.ts';
import { timestamp } from './conditions.ts';
import { desiredAuthority, desiredTrustBundle } from './desired-authority.ts';
import { desiredCertificate } from './desired-certificate.ts';
import type { CertificateFacts } from './registry-facts.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { dataText } from './secret-data.ts';
import type { World } from './world.ts';

const AUTHORITY_LIFETIME_MS = 730 * 86_400_000;

/** The authority is made when there is none, and never made again or overwritten: clients trust it. */
export async function keepAuthority(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world, clock } = tools;
  const { registry } = look;
  if (registry.spec.tls.mode === 'Disabled') return done;
  const name = childNames(registry.metadata.name).authority;
  const found = await findChild(kube, world.secrets, registry, name);
  if (found?.outcome !== undefined) return found.outcome;
  const secret = found?.object ?? (await createAuthority(tools, registry));
  if (secret === undefined) return waiting(1000, 'PredecessorTerminating');
  await followDeletionPolicy(kube, world, registry, secret);

  const certificate = dataText(secret, 'tls.crt');
  const key = dataText(secret, 'tls.key');
  const problem = authorityProblem(
    { ...(certificate !== undefined && { certificate }), ...(key !== undefined && { key }) },
    clock.now(),
  );
  if (problem !== undefined || certificate === undefined || key === undefined) {
    return stalled('AuthorityUnusable', `The Secret ${name} can not be used: ${problem?.message ?? ''}`);
  }
  look.authority = { certificate, key };
  return done;
}

/** Undefined: somebody made a Secret of that name at this very moment. */
async function createAuthority(
  { kube, world, clock }: RegistryTools,
  registry: Stored<Registry>,
): Promise<Stored<Secret> | undefined> {
  const { name, namespace } = registry.metadata;
  const pair = createCertificateAuthority({
    commonName: `${name}.${namespace} certificate authority`.slice(0, 64),
    ...validity(clock.now(), AUTHORITY_LIFETIME_MS),
    serial: randomBytes(16),
    key: await generatePrivateKey(),
  });
  try {
    return await kube.create(world.secrets.type, desiredAuthority(registry, pair));
  } catch (error) {
    if (isConflict(error)) return undefined;
    throw error;
  }
}

/** By a patch of the owner alone, since the data is nothing that is ever applied. */
async function followDeletionPolicy(
  kube: Kube,
  world: World,
  registry: Stored<Registry>,
  secret: Stored<Secret>,
): Promise<void> {
  const { name, namespace, uid } = secret.metadata;
  const wanted = childMeta(registry, name, contentOwnership(registry)).ownerReferences ?? [];
  const present = secret.metadata.ownerReferences ?? [];
  if (wanted.length === present.length && wanted[0]?.uid === present[0]?.uid) return;
  const metadata = { uid, ownerReferences: wanted.length === 0 ? null : wanted };
  await kube.patch(world.secrets.type, { namespace, name }, { metadata });
}

export async function publishTrustBundle(
  { kube, world }: RegistryTools,
  look: RegistryLook,
): Promise<Outcome> {
  if (look.authority === undefined) return done;
  const desired = desiredTrustBundle(look.registry, look.authority.certificate);
  const child = await applyChild(kube, world.configMaps, look.registry, desired);
  return child.outcome ?? done;
}

export async function certifyServer(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry, authority } = look;
  if (authority === undefined) return done;
  const { namespace, name } = registry.metadata;
  const key = { namespace, name: childNames(name).certificate };

  let server = storedPair(world.secrets.get(key));
  let renewal = renewalOf(tools, look, authority, server);
  if (renewal !== undefined) {
    // The cache may lag behind our own last write, and a certificate that is issued twice is served twice.
    server = storedPair(await kube.find(world.secrets.type, key));
    renewal = renewalOf(tools, look, authority, server);
  }
  if (renewal !== undefined || server === undefined) server = await issue(tools, look, authority);
  const child = await applyChild(
    kube,
    world.secrets,
    registry,
    desiredCertificate(registry, server, authority.certificate),
  );
  if (child.outcome !== undefined) return child.outcome;

  const facts = certificateFacts(registry, server, authority);
  look.facts.certificate = facts;
  if (renewal !== undefined) {
    tools.events.record(registry, {
      type: 'Normal',
      reason: 'CertificateIssued',
      action: 'IssueCertificate',
      note: `Issued the certificate ${facts.serial}, valid until ${timestamp(facts.notAfter)}. ${renewal.message}`,
    });
  }
  return done;
}

function storedPair(secret: Secret | undefined): CertificatePair | undefined {
  const certificate = dataText(secret, 'tls.crt');
  const key = dataText(secret, 'tls.key');
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

function renewalOf(
  { clock }: RegistryTools,
  look: RegistryLook,
  authority: CertificatePair,
  stored: CertificatePair | undefined,
): ReturnType<typeof renewalReason> {
  const state: RenewalState = {
    stored,
    authority: inspectCertificate(authority.certificate),
    desired: servedNames(look),
    ...lifetime(look.registry),
    now: clock.now(),
  };
  const finding = renewalReason(state);
  // At the end of its authority a new certificate would not live longer than the old one.
  const pointless =
    finding?.reason === 'RenewalDue' &&
    stored !== undefined &&
    inspectCertificate(stored.certificate).notAfter >= state.authority.notAfter;
  return pointless ? undefined : finding;
}

async function issue(
  { clock }: RegistryTools,
  look: RegistryLook,
  authority: CertificatePair,
): Promise<CertificatePair> {
  const { notAfter } = inspectCertificate(authority.certificate);
  return issueServerCertificate({
    authority: readCertificateAuthority(authority),
    ...servedNames(look),
    ...validity(clock.now(), lifetime(look.registry).durationMs, notAfter),
    serial: randomBytes(16),
    key: await generatePrivateKey(),
  });
}

function servedNames({ registry, service }: RegistryLook) {
  const { name, namespace } = registry.metadata;
  const { hostname, tls } = registry.spec;
  return servedSubjectAlternativeNames({
    ...(hostname !== undefined && { hostname }),
    service: { name, namespace },
    clusterIPs: service?.spec?.clusterIPs ?? [],
    loadBalancers: (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname: host }) => [
      ...(ip === undefined ? [] : [ip]),
      ...(host === undefined || host === '' ? [] : [host]),
    ]),
    extra: [...(tls.dnsNames ?? []), ...(tls.ipAddresses ?? [])],
  });
}

function lifetime({ spec: { tls } }: Registry) {
  return {
    durationMs: parseDuration(tls.duration) ?? 0,
    renewBeforeMs: tls.renewBefore === undefined ? undefined : parseDuration(tls.renewBefore),
  };
}

function certificateFacts(
  registry: Registry,
  server: CertificatePair,
  authority: CertificatePair,
): CertificateFacts {
  const certificate = inspectCertificate(server.certificate);
  const end = inspectCertificate(authority.certificate).notAfter;
  return {
    serial: certificate.serial,
    notAfter: certificate.notAfter,
    renewalTime: renewalTime(certificate, lifetime(registry).renewBeforeMs),
    ...(certificate.notAfter >= end && {
      authorityProblem: `The certificate authority ends at ${timestamp(end)}, and with it the last certificate from it.`,
    }),
  };
}
