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
 * The environment of a container, in which `$(NAME)` stands for what was set before.
 * @throws {ContainerConfigError} when it refers to what is not there
 */
export function containerEnvironment(
  pod: Pod,
  container: Container,
  objects: NamespaceObjects,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { name, value, valueFrom } of container.env ?? []) {
    environment[name] =
      valueFrom === undefined ? expand(value ?? '', environment) : referred(pod, valueFrom, objects);
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

function referred({ metadata, status }: Pod, source: Source, objects: NamespaceObjects): string {
  const { fieldRef, secretKeyRef, configMapKeyRef } = source;
  const { name = '', key } = secretKeyRef ?? configMapKeyRef ?? { key: '' };
  if (secretKeyRef !== undefined) {
    const value = objects.secret(name)?.data?.[key];
    if (value === undefined) throw new ContainerConfigError(`couldn't find key ${key} in Secret ${name}`);
    return Buffer.from(value, 'base64').toString();
  }
  if (configMapKeyRef !== undefined) {
    const value = objects.configMap(name)?.data?.[key];
    if (value === undefined) throw new ContainerConfigError(`couldn't find key ${key} in ConfigMap ${name}`);
    return value;
  }
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'status.podIP': status?.podIP,
  };
  const field = fields[fieldRef?.fieldPath ?? ''];
  if (field !== undefined) return field;
  throw new ContainerConfigError(
    'this node knows values of Secrets and ConfigMaps, and of the fields ' + Object.keys(fields).join(', '),
  );
}
