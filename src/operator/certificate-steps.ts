import { randomBytes } from 'node:crypto';
import { parseDuration } from '../contract/duration.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Secret, Service } from '../kube/resources.ts';
import { readCertificateAuthority } from '../pki/certificate-authority.ts';
import { bundleOf, certificatesIn, chainProblem, leafOf, missingNames } from '../pki/certificate-chain.ts';
import { inspectCertificate } from '../pki/inspect.ts';
import { generatePrivateKey, type CertificatePair } from '../pki/key-pair.ts';
import { namesNotPermitted, permittedNames } from '../pki/name-constraints.ts';
import { renewalReason, renewalTime, validity, type RenewalState } from '../pki/renewal.ts';
import { issueServerCertificate } from '../pki/server-certificate.ts';
import {
  servedSubjectAlternativeNames,
  subjectAlternativeNames,
  type SubjectAlternativeNames,
} from '../pki/subject-alternative-names.ts';
import { applyChild, applyOver, asChild } from './apply-child.ts';
import { publishTrustBundle, signingAuthority } from './authority-steps.ts';
import { childNames } from './child-names.ts';
import { timestamp } from './conditions.ts';
import { mayBeUsed, notPermitted } from './credentials.ts';
import { desiredCertificate, desiredCertManagerCertificate } from './desired-certificate.ts';
import { applyForeign } from './foreign-kinds.ts';
import { namesOfOthers } from './names-of-others.ts';
import type { CertificateFacts } from './registry-facts.ts';
import { serviceHost } from './registry-url.ts';
import { findSecret } from './referenced-secret.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { dataText } from './secret-data.ts';
import type { Served } from './served.ts';
import { usesSharedAuthority } from './shared-authority.ts';
import { claimantsOf } from './world.ts';

/** A Secret without our label changes unseen. */
const UNWATCHED_MS = 30_000;

export async function certifyServer(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry } = look;
  const { mode, secretRef } = registry.spec.tls;
  if (mode === 'Managed') return issueCertificate(tools, look);
  if (mode === 'Disabled') return done;
  // A rule of the CRD asks for secretRef in mode Secret.
  if (mode === 'Secret') return copyCertificate(tools, look, secretRef?.name ?? '');
  const desired = desiredCertManagerCertificate(registry, servedNames(look));
  const asked = await applyForeign(tools.kube, registry, 'Certificate', desired);
  if (asked === 'not-installed') {
    return waiting(
      UNWATCHED_MS,
      'KindNotInstalled',
      'The cluster has no kind Certificate of cert-manager.io. Install cert-manager, or use another spec.tls.mode.',
    );
  }
  if (asked.kind !== 'done') return asked;
  return copyCertificate(tools, look, childNames(registry).issued);
}

async function issueCertificate(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry, trusted } = look;
  const signing = signingAuthority(tools, look);
  if (signing === undefined || trusted === undefined) return done;
  const { namespace } = registry.metadata;
  const key = { namespace, name: childNames(registry).certificate };
  const names = permittedPart(tools, look, signing.pair);
  if (names.dnsNames.length + names.ipAddresses.length === 0) {
    const message = `The certificate authority may sign none of the names of this registry: ${names.refused.join(', ')}.`;
    return stalled('SANNotPermitted', message);
  }

  const { type } = world.secrets;
  let secret = world.secrets.get(key);
  let renewal = renewalOf(tools, look, signing.pair, names, storedPair(secret));
  if (renewal !== undefined) {
    // The cache may lag behind our own last write, and a certificate that is issued twice is served twice.
    secret = await kube.find(type, key);
    renewal = renewalOf(tools, look, signing.pair, names, storedPair(secret));
  }
  let server = storedPair(secret);
  if (renewal !== undefined || server === undefined) server = await issue(tools, look, signing.pair, names);
  const chained = { ...server, certificate: leafOf(server.certificate) + signing.chain };
  const existing = asChild(type, registry, secret);
  const child = await applyOver(kube, type, existing, desiredCertificate(registry, chained, trusted));
  if (child.outcome !== undefined) return child.outcome;

  const facts = certificateFacts(registry, server, signing.pair);
  const nextAt = signing.plan?.nextAt;
  look.facts.certificate = {
    ...facts,
    ...(names.refused.length > 0 && {
      problem: {
        reason: 'SANNotPermitted',
        message: `The certificate authority may not sign ${names.refused.join(', ')}, which clients therefore can not use.`,
      },
    }),
    ...(nextAt !== undefined && { authorityChange: nextAt }),
  };
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

/** What somebody else issued, once it is found to be good. What is served stays while it is not. */
async function copyCertificate(tools: RegistryTools, look: RegistryLook, source: string): Promise<Outcome> {
  const { kube, world, clock } = tools;
  const { registry } = look;
  const { namespace } = registry.metadata;
  const secret = await findSecret(tools, namespace, source);
  const obstacle = copyObstacle(registry, source, secret, clock.now());
  const kept = world.secrets.get({ namespace, name: childNames(registry).certificate });
  const served = obstacle === undefined ? secret : kept;
  const pair = storedPair(served);
  if (pair === undefined || bundleOf(pair.certificate) === undefined) {
    return waiting(UNWATCHED_MS, obstacle?.reason ?? 'Issuing', obstacle?.message);
  }
  // What verifies the certificate that is served stays published for as long as it is.
  const trusted = trustedIn(served, pair);
  if (trusted !== undefined) look.trusted = trusted;
  if (obstacle === undefined) {
    const desired = desiredCertificate(registry, pair, trusted ?? '');
    const child = await applyChild(kube, world.secrets, registry, desired);
    if (child.outcome !== undefined) return child.outcome;
  }
  const published = await publishTrustBundle(tools, look);
  if (published.kind !== 'done') return published;
  const { serial, notAfter } = inspectCertificate(pair.certificate);
  const missing = missingNames(pair.certificate, namesOfClients(registry));
  const problem =
    obstacle ??
    (missing.length === 0
      ? undefined
      : {
          reason: 'SANMissing' as const,
          message: `The certificate in the Secret ${source} is not good for ${missing.join(', ')}.`,
        });
  look.facts.certificate = { serial, notAfter, ...(problem !== undefined && { problem }) };
  return done;
}

function copyObstacle(
  { spec: { tls } }: Served,
  source: string,
  secret: Secret | undefined,
  now: number,
): CertificateFacts['problem'] {
  if (secret === undefined) {
    return tls.mode === 'CertManager'
      ? {
          reason: 'Issuing',
          message: `cert-manager has not written the Secret ${source} yet. See kubectl describe certificate.`,
        }
      : {
          reason: 'SecretNotFound',
          message: `There is no Secret ${source}, which spec.tls.secretRef names. Make it: kubectl create secret tls.`,
        };
  }
  if (!mayBeUsed(secret)) return { reason: 'NotPermitted', message: notPermitted(source) };
  const certificate = dataText(secret, 'tls.crt');
  const key = dataText(secret, 'tls.key');
  const finding = chainProblem(
    { ...(certificate !== undefined && { certificate }), ...(key !== undefined && { key }) },
    dataText(secret, 'ca.crt') || undefined,
    now,
  );
  return (
    finding && {
      reason: 'CertificateUnusable',
      message: `The Secret ${source} can not be used. ${finding.message}`,
    }
  );
}

/** What clients are told to trust: what the Secret says, or an own root at the end of the chain. */
function trustedIn(secret: Secret | undefined, { certificate }: CertificatePair): string | undefined {
  const given = bundleOf(dataText(secret, 'ca.crt') ?? '');
  if (given !== undefined) return given;
  const last = certificatesIn(certificate).at(-1) ?? '';
  const { x509 } = inspectCertificate(last);
  return x509.checkIssued(x509) ? last : undefined;
}

function storedPair(secret: Secret | undefined): CertificatePair | undefined {
  const certificate = dataText(secret, 'tls.crt');
  const key = dataText(secret, 'tls.key');
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

function renewalOf(
  { clock }: RegistryTools,
  { registry }: RegistryLook,
  authority: CertificatePair,
  desired: SubjectAlternativeNames,
  stored: CertificatePair | undefined,
): ReturnType<typeof renewalReason> {
  const state: RenewalState = {
    stored,
    authority: inspectCertificate(authority.certificate),
    desired,
    keyAlgorithm: registry.spec.tls.keyAlgorithm,
    ...lifetime(registry),
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
  { registry }: RegistryLook,
  authority: CertificatePair,
  { dnsNames, ipAddresses }: SubjectAlternativeNames,
): Promise<CertificatePair> {
  const { notAfter } = inspectCertificate(authority.certificate);
  return issueServerCertificate({
    authority: readCertificateAuthority(authority),
    dnsNames,
    ipAddresses,
    ...validity(clock.now(), lifetime(registry).durationMs, notAfter),
    serial: randomBytes(16),
    key: await generatePrivateKey(registry.spec.tls.keyAlgorithm),
  });
}

function servedNames({ registry, service }: RegistryLook): SubjectAlternativeNames {
  const { namespace } = registry.metadata;
  const { hostname, tls } = registry.spec;
  return servedSubjectAlternativeNames({
    ...(hostname !== undefined && { hostname }),
    service: { name: childNames(registry).service, namespace },
    clusterIPs: service?.spec?.clusterIPs ?? [],
    loadBalancers: loadBalancersOf(service),
    extra: [...(tls.dnsNames ?? []), ...(tls.ipAddresses ?? [])],
  });
}

function loadBalancersOf(service: Service | undefined): readonly string[] {
  return (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname: host }) => [
    ...(ip === undefined ? [] : [ip]),
    ...(host === undefined || host === '' ? [] : [host]),
  ]);
}

/** What the cluster gave the Service, as it stands in a certificate. */
function namesGiven(service: Service | undefined): readonly string[] {
  const addresses = (service?.spec?.clusterIPs ?? []).filter(
    (address) => address !== 'None' && address !== '',
  );
  const { dnsNames, ipAddresses } = subjectAlternativeNames([...addresses, ...loadBalancersOf(service)]);
  return [...dnsNames, ...ipAddresses];
}

/** Of a certificate from elsewhere no more is asked than that the name which clients are told works. */
function namesOfClients(registry: Served): SubjectAlternativeNames {
  const name = registry.spec.hostname ?? serviceHost(registry);
  return subjectAlternativeNames([name.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')]);
}

/** The names that the authority may sign, and those that it may not. */
function permittedPart(
  { world }: RegistryTools,
  look: RegistryLook,
  { certificate }: CertificatePair,
): SubjectAlternativeNames & { readonly refused: readonly string[] } {
  const { registry, service } = look;
  const wanted = servedNames(look);
  const permitted = permittedNames(inspectCertificate(certificate).x509);
  const refused = [
    ...(permitted === undefined ? [] : namesNotPermitted(wanted, permitted)),
    ...(usesSharedAuthority(registry)
      ? namesOfOthers(registry, wanted, namesGiven(service), (name) => claimantsOf(world, name))
      : []),
  ];
  return {
    dnsNames: wanted.dnsNames.filter((name) => !refused.includes(name)),
    ipAddresses: wanted.ipAddresses.filter((address) => !refused.includes(address)),
    refused,
  };
}

function lifetime({ spec: { tls } }: Served) {
  return {
    durationMs: parseDuration(tls.duration) ?? 0,
    renewBeforeMs: tls.renewBefore === undefined ? undefined : parseDuration(tls.renewBefore),
  };
}

function certificateFacts(registry: Served, server: CertificatePair, authority: CertificatePair) {
  const certificate = inspectCertificate(server.certificate);
  const end = inspectCertificate(authority.certificate).notAfter;
  // One of ours is replaced in time; that it cuts certificates short for a while is the usual way of things.
  const ends = registry.spec.tls.caSecretRef !== undefined && certificate.notAfter >= end;
  return {
    serial: certificate.serial,
    notAfter: certificate.notAfter,
    renewalTime: renewalTime(certificate, lifetime(registry).renewBeforeMs),
    ...(ends && {
      problem: {
        reason: 'AuthorityExpiring' as const,
        message: `The certificate authority ends at ${timestamp(end)}, and with it the last certificate from it.`,
      },
    }),
  };
}
