import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { PersistentVolumeClaim } from '../kube/resources.ts';
import { childMeta, childNames, contentOwnership } from './child-names.ts';
import { quantityValue } from './quantity.ts';
import type { Served } from './served.ts';

export type Filesystem = NonNullable<Registry['spec']['storage']['filesystem']>;

/** The name of the claim that the pod mounts. */
export function claimName(registry: Served, filesystem: Filesystem): string {
  return filesystem.existingClaim ?? childNames(registry).claim;
}

/**
 * The claim of a Registry. Of a claim that is there already, perhaps retained from an earlier Registry of this name,
 * only the size can change, and only upwards; the rest stays as it is. See `claimMismatch`.
 */
export function desiredClaim(
  registry: Stored<Served>,
  { storageClassName, accessModes, size }: Filesystem,
  existing: PersistentVolumeClaim | undefined,
): ApplyFields<PersistentVolumeClaim> {
  const className = existing === undefined ? storageClassName : existing.spec?.storageClassName;
  return {
    metadata: childMeta(registry, childNames(registry).claim, contentOwnership(registry)),
    spec: {
      accessModes: existing?.spec?.accessModes ?? accessModes,
      ...(className !== undefined && { storageClassName: className }),
      resources: {
        // A rule of the CRD asks for a size where there is no existing claim.
        requests: { storage: larger(String(size ?? 0), existing?.spec?.resources?.requests?.['storage']) },
      },
    },
  };
}

function larger(wanted: string, existing: string | undefined): string {
  return (quantityValue(existing) ?? 0) > (quantityValue(wanted) ?? 0) ? (existing ?? wanted) : wanted;
}

/** What the Registry asks of its claim and the one that is there can't give, with the remedy; undefined when it fits. */
export function claimMismatch(
  { storageClassName, accessModes }: Filesystem,
  existing: PersistentVolumeClaim,
): string | undefined {
  const { name } = existing.metadata;
  const liveClass = existing.spec?.storageClassName;
  if (storageClassName !== undefined && liveClass !== undefined && storageClassName !== liveClass) {
    return `The claim ${name} has the storage class ${liveClass}, not ${storageClassName}. Make the Registry again with that class, or delete the claim and what is on it.`;
  }
  const liveModes: readonly string[] = existing.spec?.accessModes ?? [];
  if (accessModes.some((mode) => !liveModes.includes(mode))) {
    return `The claim ${name} has the access modes ${liveModes.join(', ')}, not ${accessModes.join(', ')}. Make the Registry again with those modes, or delete the claim and what is on it.`;
  }
  return undefined;
}
