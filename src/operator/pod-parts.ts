import { dirname } from 'node:path';
import { CONFIG_FILE, STORAGE_ROOT } from '../contract/places.ts';
import type { Deployment } from '../kube/resources.ts';
import { childNames } from './child-names.ts';
import { claimName } from './desired-claim.ts';
import { podSecurity } from './pod-security.ts';
import type { Served } from './served.ts';

/** What the pods of a registry and those of its collector have in common: they work on the same content. */

export type PodSpec = NonNullable<NonNullable<Deployment['spec']>['template']['spec']>;
type Container = PodSpec['containers'][number];

/** The secret variables that the pods get: their names, and what changes when one of them does. */
export interface Credentials {
  readonly names: readonly string[];
  readonly revision: string;
}

/** A ConfigMap volume with certificates. */
const TRUSTED_CAS_FOLDER = '/etc/stevedore/trusted-cas';

/** Who the pods are and where they may run. */
export function podIdentity({ spec: { podTemplate = {} } }: Served): Partial<PodSpec> {
  const { nodeSelector, tolerations, priorityClassName, serviceAccountName, imagePullSecrets } = podTemplate;
  return {
    ...podSecurity,
    ...(nodeSelector !== undefined && { nodeSelector }),
    ...(tolerations !== undefined && { tolerations }),
    ...(priorityClassName !== undefined && { priorityClassName }),
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    ...(imagePullSecrets !== undefined && { imagePullSecrets }),
  };
}

/** Labels of a pod: those of the operator go before those that the Registry asks for. */
export function podLabels(
  { spec: { podTemplate } }: Served,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return { ...podTemplate?.labels, ...own };
}

/** Credentials of the storage and of what is told, proxies, and whom to trust. */
export function containerEnvironment(
  registry: Served,
  credentials: Credentials | undefined,
): NonNullable<Container['env']> {
  const { podTemplate = {} } = registry.spec;
  const secret = childNames(registry).credentials;
  return [
    ...(credentials?.names ?? []).map((name) => ({
      name,
      valueFrom: { secretKeyRef: { name: secret, key: name } },
    })),
    ...(podTemplate.env ?? []),
    ...(podTemplate.trustedCAs === undefined ? [] : [{ name: 'SSL_CERT_DIR', value: TRUSTED_CAS_FOLDER }]),
  ];
}

/** Where the volumes of `podVolumes` are mounted. */
export function volumeMounts(registry: Served): NonNullable<Container['volumeMounts']> {
  return [
    ...(contentVolume(registry) === undefined ? [] : [{ name: 'data', mountPath: STORAGE_ROOT }]),
    { name: 'config', mountPath: dirname(CONFIG_FILE), readOnly: true },
    { name: 'tmp', mountPath: '/tmp' },
    ...(registry.spec.podTemplate?.trustedCAs === undefined
      ? []
      : [{ name: 'trusted-cas', mountPath: TRUSTED_CAS_FOLDER, readOnly: true }]),
  ];
}

export function podVolumes(registry: Served): NonNullable<PodSpec['volumes']> {
  const content = contentVolume(registry);
  const trustedCAs = registry.spec.podTemplate?.trustedCAs;
  return [
    ...(content === undefined ? [] : [content]),
    { name: 'config', configMap: { name: childNames(registry).config } },
    { name: 'tmp', emptyDir: {} },
    ...(trustedCAs === undefined ? [] : [{ name: 'trusted-cas', configMap: { name: trustedCAs.name } }]),
  ];
}

/** Undefined: content is in a bucket. */
function contentVolume(registry: Served): NonNullable<PodSpec['volumes']>[number] | undefined {
  const { filesystem, ephemeral } = registry.spec.storage;
  if (filesystem !== undefined) {
    return { name: 'data', persistentVolumeClaim: { claimName: claimName(registry, filesystem) } };
  }
  if (ephemeral === undefined) return undefined;
  const { sizeLimit } = ephemeral;
  return { name: 'data', emptyDir: sizeLimit === undefined ? {} : { sizeLimit: String(sizeLimit) } };
}
