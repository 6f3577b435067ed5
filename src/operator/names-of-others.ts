import type { Stored } from '../kube/object.ts';
import { serviceNames, type SubjectAlternativeNames } from '../pki/subject-alternative-names.ts';
import { childNames } from './child-names.ts';
import { fieldAt } from './field-at.ts';
import type { UnreadObject } from './resource-types.ts';
import type { Served } from './served.ts';

/*
 * Whoever trusts the shared authority trusts it for every name. So it must sign for a Registry what is that Registry's
 * alone: else whoever may write one could pass for somebody else's.
 */

/** Those of `wanted` that the shared authority does not sign for this Registry. */
export function namesOfOthers(
  registry: Stored<Served>,
  wanted: SubjectAlternativeNames,
  /** Names and addresses that its Service was given. */
  given: readonly string[],
  /** What claims a name, by `claimedNames`. */
  claimants: (name: string) => readonly Stored<UnreadObject>[],
): readonly string[] {
  const own = new Set([...ownNames(registry), ...given]);
  return [
    ...wanted.dnsNames.filter(
      (name) =>
        !own.has(name) &&
        (isNobodysAlone(name) || claimants(name).some((other) => goesBefore(other, registry, name))),
    ),
    ...wanted.ipAddresses.filter((address) => !own.has(address)),
  ];
}

/** The names by which a Registry counts as having them: those of its Service, and those that it asks the shared authority for. */
export function claimedNames(object: UnreadObject): readonly string[] {
  return [...ownNames(object), ...namesAsked(object.spec)];
}

function ownNames({ kind, metadata }: UnreadObject): readonly string[] {
  const { service } = childNames({ kind: kind === 'RegistryMirror' ? kind : 'Registry', metadata });
  return serviceNames({ name: service, namespace: metadata.namespace ?? '' });
}

/** Wildcards, names without a domain, and names of other Services. */
function isNobodysAlone(name: string): boolean {
  return name.startsWith('*.') || !name.includes('.') || /\.svc(\.|$)/.test(name);
}

/** Names of a Service belong to its namespace; of the others the oldest that asks for them has them. */
function goesBefore(other: Stored<UnreadObject>, { metadata }: Stored<Served>, name: string): boolean {
  if (other.metadata.namespace === metadata.namespace) return false;
  return ownNames(other).includes(name) || age(other.metadata) < age(metadata);
}

function age({ creationTimestamp, uid }: Stored<UnreadObject>['metadata']): string {
  return `${creationTimestamp} ${uid}`;
}

/** Takes the spec as it comes: it may not fit its schema. */
function namesAsked(spec: unknown): readonly string[] {
  if (fieldAt(spec, 'tls', 'authority') !== 'Shared') return [];
  const hostname = fieldAt(spec, 'hostname');
  const dnsNames = fieldAt(spec, 'tls', 'dnsNames');
  return [
    ...(typeof hostname === 'string' ? [hostname.replace(/:\d+$/, '')] : []),
    ...(Array.isArray(dnsNames) ? dnsNames.filter((name) => typeof name === 'string') : []),
  ].map((name) => name.toLowerCase());
}
