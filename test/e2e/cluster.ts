import { access, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run, succeed, type CommandOptions, type Outcome } from './command.ts';

const root = join(import.meta.dirname, '../..');

/** Where the operator runs. */
export const SYSTEM_NAMESPACE = 'stevedore-system';
/** Where the tests make their resources; pod security 'restricted' is enforced in both. */
export const TEAM_NAMESPACE = 'team';
const RELEASE = 'stevedore';

/** The cluster that `scripts/kube` runs on this machine, with one node. */
export interface Cluster {
  /** The folder with what the cluster has on disk, as the nodes' `certs.d`. */
  readonly state: string;
  /** The folder of the programs that it is made of. */
  readonly bin: string;
  readonly kubeconfig: string;
  /** kubectl that must succeed; returns what it printed. */
  kubectl(args: readonly string[]): Promise<string>;
  /** kubectl that may fail. */
  tryKubectl(args: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Applies YAML or JSON; returns what kubectl printed. Throws with the API server's message when it is refused. */
  apply(manifest: string | object, namespace?: string): Promise<string>;
  /** One field of an object as text, by JSONPath without braces (`.status.url`); undefined when there is no such object or field. */
  field(resource: string, path: string, namespace?: string): Promise<string | undefined>;
}

/** The cluster that is up. Throws when there is none. */
export async function connect(): Promise<Cluster> {
  const cluster = await clusterOfThisMachine();
  try {
    await access(cluster.kubeconfig);
  } catch (cause) {
    throw new Error("no cluster is up: run these tests by 'make e2e', or by 'scripts/e2e FILE'", { cause });
  }
  return cluster;
}

/** The cluster of this machine, whether or not it is up yet. */
export async function clusterOfThisMachine(): Promise<Cluster> {
  const { state, bin, kubeconfig } = await kubePaths();
  const tryKubectl = (args: readonly string[], options?: CommandOptions) =>
    run(join(bin, 'kubectl'), ['--kubeconfig', kubeconfig, ...args], options);
  const kubectl = (args: readonly string[], options?: CommandOptions) =>
    succeed(join(bin, 'kubectl'), ['--kubeconfig', kubeconfig, ...args], options);
  return {
    state,
    bin,
    kubeconfig,
    tryKubectl,
    kubectl: (args) => kubectl(args, { timeout: 180_000 }),
    apply: (manifest, namespace = TEAM_NAMESPACE) =>
      kubectl(['apply', '--namespace', namespace, '--filename', '-'], {
        input: typeof manifest === 'string' ? manifest : JSON.stringify(manifest),
      }),
    field: async (resource, path, namespace = TEAM_NAMESPACE) => {
      const args = ['get', resource, '--namespace', namespace, '--output', `jsonpath={${path}}`];
      const outcome = await tryKubectl(args);
      if (outcome.code !== 0 && !outcome.stderr.includes('NotFound')) throw new Error(outcome.stderr.trim());
      return outcome.code === 0 && outcome.stdout !== '' ? outcome.stdout : undefined;
    },
  };
}

/** Brings the control plane and one node up; returns when the node is ready. */
export async function startCluster(cluster: Cluster): Promise<void> {
  await script('kube', ['up']);
  await script('kube', ['node']);
  for (const name of [SYSTEM_NAMESPACE, TEAM_NAMESPACE]) {
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    });
  }
}

/** Builds the image if need be and imports it into the node; returns its name. */
export async function loadImage(): Promise<string> {
  const [name, archive] = (await script('image', [])).trim().split('\n').slice(-2);
  if (name === undefined || archive === undefined)
    throw new Error('scripts/image printed no name and archive');
  await script('kube', ['load', archive]);
  return name;
}

export interface AddedNode {
  readonly name: string;
  /** Takes its pods away and has the cluster forget it. What runs it ends with the cluster. */
  remove(): Promise<void>;
}

/** One more node of the cluster, with the image that the chart is installed with. */
export async function addNode(cluster: Cluster): Promise<AddedNode> {
  const nodes = (await readdir(cluster.state)).filter((name) => /^node-\d+$/.test(name));
  const number = nodes.length + 1;
  const name = `node-${number}`;
  await script('kube', ['node', String(number)]);
  const path = '.spec.template.spec.containers[0].image';
  const image = await cluster.field(`deployment/${RELEASE}`, path, SYSTEM_NAMESPACE);
  if (image === undefined) throw new Error('the chart is not installed');
  const archive = join(cluster.state, `${name}.tar`);
  await succeed('ctr', [...containerdOf(cluster, 'node-1'), 'images', 'export', archive, image]);
  await succeed('ctr', [...containerdOf(cluster, name), 'images', 'import', archive]);
  await rm(archive);
  return {
    name,
    async remove() {
      await cluster.kubectl(['drain', name, '--ignore-daemonsets', '--delete-emptydir-data', '--force']);
      await cluster.kubectl(['delete', 'node', name]);
    },
  };
}

/** Options of ctr for what the kubelet of a node has. */
export function containerdOf(cluster: Cluster, node: string): readonly string[] {
  return ['--address', join(cluster.state, node, 'containerd.sock'), '--namespace', 'k8s.io'];
}

/** Installs the chart, or upgrades it, with this image and these values, and waits until the operator is ready. Returns its pod. */
export async function installChart(
  cluster: Cluster,
  image: string,
  values: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [repository, tag] = image.split(/:(?=[^/]*$)/);
  await helm(cluster, [
    'upgrade',
    '--install',
    RELEASE,
    join(root, 'charts/stevedore'),
    '--wait',
    '--timeout=60s',
    `--set=image.repository=${repository},image.tag=${tag}`,
    ...Object.entries(values).map(([name, value]) => `--set=${name}=${value}`),
  ]);
  return operatorPod(cluster);
}

/** helm in the operator's namespace. */
export async function helm(cluster: Cluster, args: readonly string[]): Promise<string> {
  const [program] = (await script('tools', ['helm'])).trim().split('\n');
  if (program === undefined) throw new Error('scripts/tools printed no path');
  return succeed(program, ['--kubeconfig', cluster.kubeconfig, '--namespace', SYSTEM_NAMESPACE, ...args], {
    timeout: 120_000,
  });
}

/** The folder of the volume of a claim: the node is this machine, and its volumes are folders. */
export async function volumeFolder(
  cluster: Cluster,
  claim: string,
  namespace = TEAM_NAMESPACE,
): Promise<string> {
  const volume = await cluster.field(`persistentvolumeclaim/${claim}`, '.spec.volumeName', namespace);
  if (volume === undefined) throw new Error(`the claim ${claim} has no volume`);
  return join(cluster.state, 'volumes', volume);
}

/**
 * Throws when the operator lacked a right: says so in its log, in a condition or in an Event. The API server also forbids to
 * make anything in a namespace that is being deleted, and says that in other words.
 */
export async function assertNothingForbidden(cluster: Cluster): Promise<void> {
  const pod = (await operatorPod(cluster)).replace(/^pod\//, '');
  const conditions = '{range .items[*]}{.metadata.name}: {.status.conditions[*].message}{"\\n"}{end}';
  const notes = '{range .items[*]}{.metadata.name}: {.message}{"\\n"}{end}';
  const texts = await Promise.all([
    cluster.kubectl(['logs', `--namespace=${SYSTEM_NAMESPACE}`, pod]),
    cluster.kubectl([
      'get',
      'registries,registrymirrors,registrygcs',
      '--all-namespaces',
      `--output=jsonpath=${conditions}`,
    ]),
    cluster.kubectl(['get', 'events', '--all-namespaces', `--output=jsonpath=${notes}`]),
  ]);
  const lines = texts.join('\n').split('\n');
  const account = `system:serviceaccount:${SYSTEM_NAMESPACE}:${RELEASE}`;
  const refusal = lines.find((line) => line.includes(account) && /cannot \w+ resource/.test(line));
  if (refusal !== undefined) throw new Error(`the operator lacks a right: ${refusal}`);
}

/** The operator's pod, as `pod/NAME`: not one that is on its way out, which may run for a while. */
export async function operatorPod(cluster: Cluster): Promise<string> {
  const list = await cluster.kubectl([
    'get',
    'pods',
    `--namespace=${SYSTEM_NAMESPACE}`,
    '--selector=app.kubernetes.io/component=operator',
    '--field-selector=status.phase=Running',
    '--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.deletionTimestamp}{"\\n"}{end}',
  ]);
  const [pod] = list.split('\n').flatMap((line) => /^(\S+) $/.exec(line)?.[1] ?? []);
  if (pod === undefined) throw new Error('no pod of the operator runs');
  return `pod/${pod}`;
}

/** Runs one of the project's scripts; returns what it printed. The longest builds the image. */
export function script(name: string, args: readonly string[]): Promise<string> {
  return succeed(join(root, 'scripts', name), args, { timeout: 1_800_000 });
}

async function kubePaths() {
  const printed = await script('kube', ['paths']);
  const value = (name: string) => {
    const found = new RegExp(`(?:^| )${name}=(\\S+)`).exec(printed)?.[1];
    if (found === undefined) throw new Error(`scripts/kube paths printed no ${name}`);
    return found;
  };
  return { state: value('state'), bin: value('bin'), kubeconfig: value('kubeconfig') };
}
