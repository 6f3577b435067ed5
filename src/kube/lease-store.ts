import { isConflict, isNotFound } from './api-error.ts';
import type { KubeClient } from './client.ts';
import type { LeaseRecord, LeaseStore, VersionedLease } from './elector.ts';
import type { NamespacedName, Stored } from './object.ts';
import { leases, type Lease } from './resources.ts';

/** A Lease object (coordination.k8s.io/v1) as the place where candidates meet. Needs get, create and patch. */
export function createLeaseStore(client: KubeClient, key: NamespacedName): LeaseStore {
  return {
    async read(signal) {
      const lease = await client.find(leases, key, { signal });
      return lease === undefined ? undefined : parse(lease);
    },
    async create(record, signal) {
      try {
        return parse(await client.create(leases, { metadata: { ...key }, spec: specOf(record) }, { signal }));
      } catch (error) {
        if (isConflict(error)) return undefined;
        throw error;
      }
    },
    async update(record, version, signal) {
      try {
        const patch = { metadata: { resourceVersion: version }, spec: specOf(record) };
        return parse(await client.patch(leases, key, patch, { signal }));
      } catch (error) {
        if (isConflict(error) || isNotFound(error)) return undefined;
        throw error;
      }
    },
  };
}

function specOf(record: LeaseRecord): Lease['spec'] {
  return {
    holderIdentity: record.holder,
    leaseDurationSeconds: Math.ceil(record.durationMs / 1000),
    acquireTime: record.acquireTime,
    renewTime: record.renewTime,
    leaseTransitions: record.transitions,
  };
}

function parse({ metadata, spec }: Stored<Lease>): VersionedLease {
  return {
    version: metadata.resourceVersion,
    record: {
      holder: spec.holderIdentity ?? '',
      durationMs: (spec.leaseDurationSeconds ?? 0) * 1000,
      acquireTime: spec.acquireTime ?? '',
      renewTime: spec.renewTime ?? '',
      transitions: spec.leaseTransitions ?? 0,
    },
  };
}
