import type { ConfigMap, Pod, Secret } from '../../kube/resources.ts';

export type Container = NonNullable<Pod['spec']>['containers'][number];

/** What a pod can refer to in its own namespace. Undefined: there is none. */
export interface NamespaceObjects {
  secret(name: string): Secret | undefined;
  configMap(name: string): ConfigMap | undefined;
}

/** The container cannot be started as things are; the message is the kubelet's. */
export class NotStartableError extends Error {
  /** Why it waits, as its state has it. */
  readonly reason: 'ContainerCreating' | 'ErrImagePull' | 'CreateContainerConfigError';

  constructor(reason: NotStartableError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * The environment of a container, in which `$(NAME)` stands for what was set before.
 * @throws {NotStartableError} when it refers to what is not there
 */
export function containerEnvironment(
  container: Container,
  objects: NamespaceObjects,
): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const { name, value = '', valueFrom } of container.env ?? []) {
    environment[name] = valueFrom === undefined ? expand(value, environment) : referred(valueFrom, objects);
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

function referred({ secretKeyRef }: Source, objects: NamespaceObjects): string {
  if (secretKeyRef === undefined) {
    throw new NotStartableError('CreateContainerConfigError', 'this node takes values from Secrets alone');
  }
  const { name = '', key } = secretKeyRef;
  const value = objects.secret(name)?.data?.[key];
  if (value !== undefined) return Buffer.from(value, 'base64').toString();
  throw new NotStartableError('CreateContainerConfigError', `couldn't find key ${key} in Secret ${name}`);
}
