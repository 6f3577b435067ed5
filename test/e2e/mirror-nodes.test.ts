import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  SYSTEM_NAMESPACE,
  TEAM_NAMESPACE,
  assertNothingForbidden,
  connect,
  installChart,
  type Cluster,
} from './cluster.ts';
import { run } from './command.ts';
import { craneImages } from './image-client.ts';
import { writeProgramLayout } from './image-layout.ts';
import { readyRegistry } from './ready-registry.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps, type Step } from './step.ts';
import { waitFor } from './wait.ts';

/** The node: by a loopback address containerd would take any certificate. */
const ADDRESS = '10.244.255.1';
const UPSTREAMS = { one: 30541, two: 30542 } as const;
type Upstream = keyof typeof UPSTREAMS;
const hostOf = (upstream: Upstream) => `${ADDRESS}:${UPSTREAMS[upstream]}`;
const NOBODY = { name: 'nobody', password: 'nothing' };
/** Not in nodeAccess.namespaces. */
const UNLISTED_NAMESPACE = 'unlisted';
const FOREIGN_HOST = 'foreign.example.com';
const FOREIGN_FILE = 'server = "https://foreign.example.com"\n[host."https://somebody.example.com"]\n';

test('nodes pull through a mirror, and are as they were when it is gone', async (t) => {
  const cluster = await connect();
  const image = await cluster.field(
    'deployment/stevedore',
    '.spec.template.spec.containers[0].image',
    SYSTEM_NAMESPACE,
  );
  assert.ok(image !== undefined, 'the chart is not installed');
  const folder = mkdtempSync(join(tmpdir(), 'mirror-nodes-'));
  const foreign = join(certsOf(cluster), FOREIGN_HOST);
  t.after(async () => {
    for (const namespace of [TEAM_NAMESPACE, UNLISTED_NAMESPACE]) {
      const kinds = ['pods', 'registrymirrors', 'registries'];
      for (const kind of kinds)
        await cluster.tryKubectl(['delete', kind, '--all', `--namespace=${namespace}`]);
    }
    await cluster.tryKubectl(['delete', 'namespace', UNLISTED_NAMESPACE]);
    await installChart(cluster, image);
    await enforce(cluster, 'restricted');
    rmSync(foreign, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  });
  mkdirSync(foreign, { recursive: true });
  writeFileSync(join(foreign, 'hosts.toml'), FOREIGN_FILE);
  await testSteps(t, lifeOfAMirror(cluster, image, folder));
});

function lifeOfAMirror(cluster: Cluster, image: string, folder: string): readonly Step[] {
  const certs = certsOf(cluster);
  let before: Readonly<Record<string, string>>;
  let withTrust: Readonly<Record<string, string>>;
  const stage = kubernetesStage(cluster);
  const permit = (namespace?: string) =>
    installChart(cluster, image, {
      'nodeAccess.enabled': 'true',
      ...(namespace !== undefined && { 'nodeAccess.namespaces': `{${namespace}}` }),
      'nodeAccess.containerd.certsFolder': certs,
      'nodeAccess.containerd.configFile': join(cluster.state, 'node-1/containerd.toml'),
    });
  const push = async (upstream: Upstream, name: string): Promise<void> => {
    const port = UPSTREAMS[upstream];
    const place = await readyRegistry(stage, upstream, { name: ADDRESS, address: ADDRESS, port });
    const layout = await writeProgramLayout(join(folder, upstream, name), join(cluster.bin, 'pause'));
    await craneImages(place, `team/${name}`, folder).push(NOBODY, layout.folder, 'v1');
  };
  /** Starts a pod of an image that the node does not have, and removes both. */
  const start = async (upstream: Upstream, name: string): Promise<void> => {
    const reference = `${hostOf(upstream)}/team/${name}:v1`;
    const socket = ['--address', join(cluster.state, 'node-1/containerd.sock'), '--namespace', 'k8s.io'];
    await run('ctr', [...socket, 'images', 'remove', '--sync', reference]);
    await cluster.apply(podOf(name, reference));
    const namespace = `--namespace=${TEAM_NAMESPACE}`;
    await cluster.kubectl(['wait', `pod/${name}`, '--for=condition=Ready', namespace, '--timeout=90s']);
    await cluster.kubectl(['delete', `pod/${name}`, namespace]);
  };
  const condition = (resource: string, field: string, namespace = TEAM_NAMESPACE) =>
    cluster.field(resource, `.status.conditions[?(@.type=="NodesReady")].${field}`, namespace);
  const nodesReady = (resource: string) =>
    waitFor(`${resource} is on the nodes`, async () => (await condition(resource, 'status')) === 'True', {
      timeout: 120_000,
    });
  const namesMirror = (upstream: Upstream): boolean => {
    const file = join(certs, hostOf(upstream), 'hosts.toml');
    return existsSync(file) && readFileSync(file, 'utf8').includes('RegistryMirror team/images');
  };
  const scale = async (replicas: number): Promise<void> => {
    for (const upstream of ['one', 'two']) {
      await stage.patch(`registry/${upstream}`, { spec: { replicas } });
      await waitFor(`${upstream} has ${replicas}`, async () => {
        const running = await cluster.field(`deployment/${upstream}`, '.status.readyReplicas');
        return Number(running ?? 0) === replicas;
      });
    }
  };

  return [
    step('Install the node agent, for one namespace', async () => {
      before = treeOf(certs);
      // Pods that may have folders of the node.
      await enforce(cluster, 'privileged');
      await permit(TEAM_NAMESPACE);
      assert.deepEqual(treeOf(certs), before);
      return 'it runs, and has written nothing';
    }),

    step('Make two registries that nodes trust', async () => {
      for (const upstream of ['one', 'two'] as const) await cluster.apply(registryOf(upstream));
      for (const upstream of ['one', 'two'] as const) {
        await push(upstream, 'cached');
        await nodesReady(`registry/${upstream}`);
        assert.equal(await cluster.field(`registry/${upstream}`, '.status.nodes.configured'), '1');
        await start(upstream, 'cached');
      }
      withTrust = treeOf(certs);
      return `${Object.keys(withTrust).length - Object.keys(before).length} files more, and pods of both start`;
    }),

    step('A mirror of a namespace that is not listed changes nothing', async () => {
      await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: UNLISTED_NAMESPACE } });
      const mirror = mirrorOf([{ host: 'quay.io' }]);
      await cluster.apply(mirror, UNLISTED_NAMESPACE);
      const reason = await waitFor('it is told', () =>
        condition('registrymirror/images', 'reason', UNLISTED_NAMESPACE),
      );
      assert.equal(reason, 'NotPermitted');
      assert.deepEqual(treeOf(certs), withTrust);
      await cluster.kubectl(['delete', 'registrymirror/images', `--namespace=${UNLISTED_NAMESPACE}`]);
      return reason;
    }),

    step('containerd pulls the images of pods through a mirror of two upstreams', async () => {
      await cluster.apply(mirrorOf(upstreamsOf('one', 'two')));
      await nodesReady('registrymirror/images');
      assert.equal(await cluster.field('registrymirror/images', '.status.nodes.configured'), '1');
      assert.ok(namesMirror('one') && namesMirror('two'));
      for (const upstream of ['one', 'two'] as const) await start(upstream, 'cached');
      return 'pods of both start';
    }),

    step('The upstreams stop: cached images still start', async () => {
      await scale(0);
      for (const upstream of ['one', 'two'] as const) await start(upstream, 'cached');
      await scale(1);
      return 'pods of both start';
    }),

    step('hosts.toml of somebody else is not touched, and told', async () => {
      await stage.patch('registrymirror/images', {
        spec: { upstreams: [...upstreamsOf('one', 'two'), { host: FOREIGN_HOST }] },
      });
      const message = await waitFor('the conflict is told', async () =>
        (await condition('registrymirror/images', 'reason')) === 'NodeConflict'
          ? condition('registrymirror/images', 'message')
          : undefined,
      );
      assert.match(message, new RegExp(`node-1: ${FOREIGN_HOST}.* holds hosts\\.toml`));
      assert.equal(await cluster.field('registrymirror/images', '.status.nodes.conflicting'), '1');
      await stage.patch('registrymirror/images', { spec: { upstreams: upstreamsOf('one', 'two') } });
      await nodesReady('registrymirror/images');
      return message;
    }),

    step('The mirror stops: pulls go to the registries, and it is taken back', async () => {
      await push('one', 'fresh');
      await stage.patch('registrymirror/images', {
        spec: { podTemplate: { nodeSelector: { 'example.com/none': 'there' } } },
      });
      await waitFor('no pod of the mirror runs', async () => {
        const running = await cluster.field('deployment/images', '.status.readyReplicas');
        return Number(running ?? 0) === 0;
      });
      await start('one', 'fresh');
      await start('two', 'cached');
      await waitFor('the mirror is taken back', async () => !namesMirror('one') && !namesMirror('two'));
      await start('one', 'fresh');
      await waitFor(
        'it is told',
        async () => (await condition('registrymirror/images', 'reason')) === 'NodeMirrorUnreachable',
        // Agents announce nothing: they are asked once a minute.
        { timeout: 90_000 },
      );
      await stage.patch('registrymirror/images', { spec: { podTemplate: { nodeSelector: null } } });
      await nodesReady('registrymirror/images');
      assert.ok(namesMirror('one') && namesMirror('two'));
      return 'pods started all the time, and it is back now that it answers';
    }),

    step('The namespace is no longer listed: everything is taken back, until it is again', async () => {
      await permit();
      await waitFor('the node is as it was', () => Promise.resolve(isDeepStrictEqual(treeOf(certs), before)));
      await waitFor(
        'it is told',
        async () => (await condition('registrymirror/images', 'reason')) === 'NotPermitted',
      );
      await permit(TEAM_NAMESPACE);
      for (const resource of ['registry/one', 'registry/two', 'registrymirror/images']) {
        await nodesReady(resource);
      }
      assert.ok(namesMirror('one') && namesMirror('two'));
      return 'byte for byte, and back again';
    }),

    step('The mirror is deleted: the node is as it was before', async () => {
      await cluster.kubectl(['delete', 'registrymirror/images', `--namespace=${TEAM_NAMESPACE}`]);
      assert.deepEqual(treeOf(certs), withTrust);
      await start('one', 'cached');
      await cluster.kubectl(['delete', 'registry/one', 'registry/two', `--namespace=${TEAM_NAMESPACE}`]);
      assert.deepEqual(treeOf(certs), before);
      await assertNothingForbidden(cluster);
      return 'byte for byte';
    }),
  ];
}

function certsOf({ state }: Cluster): string {
  return join(state, 'node-1/certs.d');
}

function treeOf(folder: string): Readonly<Record<string, string>> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => ({ path: join(entry.parentPath, entry.name), isFile: entry.isFile() }))
    .toSorted((a, b) => a.path.localeCompare(b.path));
  return Object.fromEntries(
    paths.map(({ path, isFile }) => [path, isFile ? readFileSync(path, 'base64') : 'folder']),
  );
}

function enforce(cluster: Cluster, level: string): Promise<string> {
  const label = `pod-security.kubernetes.io/enforce=${level}`;
  return cluster.kubectl(['label', '--overwrite', 'namespace', SYSTEM_NAMESPACE, label]);
}

function registryOf(upstream: Upstream) {
  return {
    apiVersion: 'stevedore.dev/v1alpha1',
    kind: 'Registry',
    metadata: { name: upstream },
    spec: {
      hostname: hostOf(upstream),
      storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } },
      service: { type: 'NodePort', nodePort: UPSTREAMS[upstream] },
      nodeTrust: { enabled: true },
    },
  };
}

const upstreamsOf = (...upstreams: readonly Upstream[]) =>
  upstreams.map((upstream) => ({
    host: hostOf(upstream),
    caBundleRef: { configMapName: `${upstream}-ca` },
  }));

function mirrorOf(upstreams: readonly object[]) {
  return {
    apiVersion: 'stevedore.dev/v1alpha1',
    kind: 'RegistryMirror',
    metadata: { name: 'images' },
    spec: {
      upstreams,
      storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } },
      nodes: { enabled: true },
    },
  };
}

function podOf(name: string, image: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'program',
          image,
          imagePullPolicy: 'Always',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}
