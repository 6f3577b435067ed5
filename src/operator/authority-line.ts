import { randomBytes } from 'node:crypto';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import {
  createCertificateAuthority,
  type CertificateAuthorityRequest,
} from '../pki/certificate-authority.ts';
import { generatePrivateKey, type CertificatePair, type KeyAlgorithm } from '../pki/key-pair.ts';
import { validity } from '../pki/renewal.ts';
import type { Child } from './apply-child.ts';
import { authoritiesAmong, childNames, nextAuthorityName, ownerSelector } from './child-names.ts';
import {
  desiredAuthority,
  permittedBySpec,
  publicationTimes,
  PUBLISHED_ANNOTATION,
} from './desired-authority.ts';
import type { RegistryTools } from './registry-look.ts';
import { keepSecret } from './retained-secret.ts';
import type { Served } from './served.ts';
import {
  keepSharedAuthority,
  SHARED,
  sharedAuthorityNames,
  usesSharedAuthority,
} from './shared-authority.ts';
import { childrenIn } from './world.ts';

const AUTHORITY_LIFETIME_MS = 730 * 86_400_000;

/** Authorities that follow each other: those of a Registry, or those that several share. */
export interface AuthorityLine {
  /** The names of their Secrets, by age. What the caches hold may lag behind, and none must be made because of that. */
  names(): Promise<readonly string[]>;
  /** The name of the one after that one, or of the first. */
  next(before?: string): string;
  /** Finds or makes it. What it says is never changed: clients trust it. */
  keep(name: string): Promise<Child<Secret>>;
  /** Since when the clients of the Registry can have it, in milliseconds since the epoch. */
  publishedAt(secret: Stored<Secret>): number | undefined;
}

/** Of a Registry with `tls.mode: Managed` that brings none of its own. */
export function authorityLine(tools: RegistryTools, registry: Stored<Served>): AuthorityLine {
  return usesSharedAuthority(registry) ? sharedLine(tools, registry) : ownLine(tools, registry);
}

function ownLine(tools: RegistryTools, registry: Stored<Served>): AuthorityLine {
  const { kube, world } = tools;
  const { namespace } = registry.metadata;
  const make = () =>
    makeAuthority(tools, registry.spec.tls.keyAlgorithm, {
      commonName: `${childNames(registry).service}.${namespace} certificate authority`.slice(0, 64),
      permitted: permittedBySpec(registry),
    });
  return {
    async names() {
      const seen = authoritiesAmong(registry, childrenIn(world.secrets, registry));
      if (seen.length > 0) return seen;
      const labelSelector = ownerSelector(registry);
      const { items } = await kube.listAll(world.secrets.type, { namespace, labelSelector });
      return authoritiesAmong(registry, items);
    },
    next: (before) => nextAuthorityName(registry, before),
    keep: (secret) =>
      keepSecret(tools, registry, secret, async () => desiredAuthority(registry, secret, await make())),
    publishedAt({ metadata }) {
      const time = Date.parse(metadata.annotations?.[PUBLISHED_ANNOTATION] ?? '');
      return Number.isNaN(time) ? undefined : time;
    },
  };
}

function sharedLine(tools: RegistryTools, registry: Stored<Served>): AuthorityLine {
  const make = () =>
    makeAuthority(tools, 'ECDSA-P256', {
      commonName: 'Stevedore shared certificate authority',
      permitted: undefined,
    });
  return {
    names: () => sharedAuthorityNames(tools),
    next: (before) => nextAuthorityName(SHARED, before),
    keep: (secret) => keepSharedAuthority(tools, secret, make),
    // Each Registry has a bundle of its own, and each bundle its own time.
    publishedAt({ metadata: { name } }) {
      const { namespace } = registry.metadata;
      const bundle = tools.world.configMaps.get({ namespace, name: childNames(registry).trustBundle });
      return publicationTimes(bundle)[name];
    },
  };
}

async function makeAuthority(
  { clock }: RegistryTools,
  algorithm: KeyAlgorithm,
  options: Pick<CertificateAuthorityRequest, 'commonName' | 'permitted'>,
): Promise<CertificatePair> {
  return createCertificateAuthority({
    ...options,
    ...validity(clock.now(), AUTHORITY_LIFETIME_MS),
    serial: randomBytes(16),
    key: await generatePrivateKey(algorithm),
  });
}
