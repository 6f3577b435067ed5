import type { ConfigMap, Pod, Secret } from '../../kube/resources.ts';

export type Container = NonNullable<Pod['spec']>['containers'][number];

/** What a pod can refer to in its own namespace. Undefined: there is none. */
export interface NamespaceObjects {
  secret(name: string): Secret | undefined;
  configMap(name: string): ConfigMap | undefined;
}

/** The container cannot be made of its spec now; the message is the kubelet's. */
export class ContainerConfigError extends Error {
  override readonly name = 'ContainerConfigError';
}

/**
 * The environment of a container: `envFrom`, then `env`, in which `$(NAME)` stands for what was set before.
 * @throws {ContainerConfigError} when it refers to what is not there
 */
export function containerEnvironment(
  pod: Pod,
  container: Container,
  objects: NamespaceObjects,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const data =
      configMapRef === undefined
        ? secretRef && secretData(objects, secretRef)
        : configMapData(objects, configMapRef);
    for (const [key, value] of Object.entries(data ?? {})) environment[prefix + key] = value;
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined) environment[name] = expand(value ?? '', environment);
    else {
      const found = referred(pod, valueFrom, objects);
      if (found !== undefined) environment[name] = found;
    }
  }
  return environment;
}

/** `$(NAME)` is replaced where the name is known, `$$` is one `$`. */
export function expand(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (all, name: string | undefined) =>
    name === undefined ? '$' : (environment[name] ?? all),
  );
}

type Source = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>;

function referred(pod: Pod, source: Source, objects: NamespaceObjects): string | undefined {
  const { fieldRef, secretKeyRef, configMapKeyRef } = source;
  if (fieldRef !== undefined) return podField(pod, fieldRef.fieldPath);
  if (secretKeyRef !== undefined)
    return keyOf(secretData(objects, secretKeyRef), secretKeyRef, 'Secret', pod);
  if (configMapKeyRef !== undefined) {
    return keyOf(configMapData(objects, configMapKeyRef), configMapKeyRef, 'ConfigMap', pod);
  }
  throw new ContainerConfigError('this node knows no resourceFieldRef and fileKeyRef');
}

interface Reference {
  readonly name?: string;
  readonly optional?: boolean;
}

function keyOf(
  data: Readonly<Record<string, string>> | undefined,
  reference: Reference & { readonly key: string },
  kind: string,
  pod: Pod,
): string | undefined {
  const value = data?.[reference.key];
  if (value !== undefined || reference.optional === true) return value;
  throw new ContainerConfigError(
    `couldn't find key ${reference.key} in ${kind} ${pod.metadata.namespace}/${reference.name ?? ''}`,
  );
}

function secretData(objects: NamespaceObjects, { name = '', optional }: Reference) {
  const secret = objects.secret(name);
  if (secret === undefined && optional !== true) throw new ContainerConfigError(`secret "${name}" not found`);
  const decoded = Object.entries(secret?.data ?? {}).map(
    ([key, value]) => [key, Buffer.from(value, 'base64').toString()] as const,
  );
  return Object.fromEntries(decoded);
}

function configMapData(objects: NamespaceObjects, { name = '', optional }: Reference) {
  const configMap = objects.configMap(name);
  if (configMap === undefined && optional !== true)
    throw new ContainerConfigError(`configmap "${name}" not found`);
  return configMap?.data ?? {};
}

function podField({ metadata, spec, status }: Pod, path: string): string {
  const [, map, key = ''] = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path) ?? [];
  if (map !== undefined) return metadata[map === 'labels' ? 'labels' : 'annotations']?.[key] ?? '';
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec?.nodeName,
    'spec.serviceAccountName': spec?.serviceAccountName,
    'status.hostIP': status?.hostIP,
    'status.podIP': status?.podIP,
    'status.podIPs': status?.podIPs?.map(({ ip }) => ip).join(','),
  };
  return fields[path] ?? '';
}
