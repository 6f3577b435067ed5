import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SYSTEM_NAMESPACE,
  TEAM_NAMESPACE,
  assertNothingForbidden,
  connect,
  helm,
  installChart,
  operatorPod,
  type Cluster,
} from './cluster.ts';
import { readyRegistry } from './ready-registry.ts';
import { ask, servedCertificate, type RegistryPlace } from './registry-client.ts';
import { kubernetesStage } from './stage.ts';
import { step, testSteps, type Step } from './step.ts';
import { waitFor } from './wait.ts';

const PORT = 30530;
const ANOTHER_NAME = 'adopted.example.com';

const registry = `
apiVersion: stevedore.dev/v1alpha1
kind: Registry
metadata: {name: adopted}
spec:
  hostname: 127.0.0.1:${PORT}
  storage: {filesystem: {size: 1Gi, deletionPolicy: Delete}}
  service: {type: NodePort, nodePort: ${PORT}}
`;

test('the chart: its rights, an upgrade, an uninstall and an install again', async (t) => {
  const cluster = await connect();
  const image = await cluster.field(
    'deployment/stevedore',
    '.spec.template.spec.containers[0].image',
    SYSTEM_NAMESPACE,
  );
  assert.ok(image !== undefined, 'the chart is not installed');
  t.after(async () => {
    await installChart(cluster, image);
    await cluster.kubectl(['delete', 'registries', '--all', `--namespace=${TEAM_NAMESPACE}`]);
  });
  await testSteps(t, lifeOfARelease(cluster, image));
});

function lifeOfARelease(cluster: Cluster, image: string): readonly Step[] {
  let place: RegistryPlace;
  let pod: string;
  const podOfRegistry = () =>
    cluster.kubectl([
      'get',
      'pods',
      `--namespace=${TEAM_NAMESPACE}`,
      '--selector=app.kubernetes.io/component=registry',
      '--output=jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
    ]);
  const assertServes = async () => {
    assert.equal((await ask(place, 'GET', '/v2/')).status, 200);
    assert.equal(await podOfRegistry(), pod, 'the pod of the registry is another one');
  };
  const definitions = async () => {
    const names = await cluster.kubectl(['get', 'customresourcedefinitions', '--output=name']);
    return names.split('\n').filter((name) => name.endsWith('.stevedore.dev'));
  };
  /** Has another name put into the certificate, which only a working operator does. */
  const changeName = async (name: string) => {
    const patch = JSON.stringify({ spec: { tls: { dnsNames: [name] } } });
    await cluster.kubectl([
      'patch',
      'registry/adopted',
      `--namespace=${TEAM_NAMESPACE}`,
      '--type=merge',
      `--patch=${patch}`,
    ]);
    return waitFor(`a certificate for ${name}`, () => servedCertificate(place, name));
  };

  return [
    step('Apply a Registry', async () => {
      await cluster.apply(registry);
      place = await readyRegistry(kubernetesStage(cluster), 'adopted', {
        name: '127.0.0.1',
        address: '127.0.0.1',
        port: PORT,
      });
      pod = await podOfRegistry();
      return 'Ready';
    }),

    step('The account of the operator may do what it does, and nothing else', async () => {
      for (const [answer, questions] of Object.entries(rights)) {
        for (const question of questions) assert.equal(await canI(cluster, question), answer, question);
      }
      return `yes to ${rights.yes.length} questions, no to ${rights.no.length}`;
    }),

    step('An upgrade makes the operator work for one namespace, with rights in no other', async () => {
      const before = await operatorPod(cluster);
      const now = await installChart(cluster, image, { watchNamespace: TEAM_NAMESPACE });
      assert.notEqual(now, before);
      for (const question of [
        'get secrets --namespace=kube-system',
        'list secrets --all-namespaces',
        'list registries --namespace=default',
      ]) {
        assert.equal(await canI(cluster, question), 'no', question);
      }
      assert.equal(await canI(cluster, `get secrets --namespace=${TEAM_NAMESPACE}`), 'yes');
      await assertServes();
      const { serialNumber } = await changeName(`one.${ANOTHER_NAME}`);
      await assertServes();
      await assertNothingForbidden(cluster);
      return `the certificate ${serialNumber.slice(0, 8)}… is its work`;
    }),

    step('An uninstall keeps the definitions, the Registry and what serves it', async () => {
      await helm(cluster, ['uninstall', 'stevedore', '--wait']);
      assert.equal(
        await cluster.field('deployment/stevedore', '.metadata.name', SYSTEM_NAMESPACE),
        undefined,
      );
      assert.equal(await canI(cluster, `get secrets --namespace=${TEAM_NAMESPACE}`), 'no');
      assert.deepEqual(await definitions(), [
        'customresourcedefinition.apiextensions.k8s.io/registries.stevedore.dev',
        'customresourcedefinition.apiextensions.k8s.io/registrygcs.stevedore.dev',
        'customresourcedefinition.apiextensions.k8s.io/registrymirrors.stevedore.dev',
      ]);
      assert.equal(
        await cluster.field('registry/adopted', '.status.conditions[?(@.type=="Ready")].status'),
        'True',
      );
      await assertServes();
      return 'the registry serves on';
    }),

    step('The next install adopts all of it', async () => {
      const template = await cluster.field('deployment/adopted', '.spec.template');
      await installChart(cluster, image);
      const { serialNumber } = await changeName(`two.${ANOTHER_NAME}`);
      assert.equal(await cluster.field('deployment/adopted', '.spec.template'), template);
      await assertServes();
      await assertNothingForbidden(cluster);
      const list = await helm(cluster, ['list', '--short']);
      assert.equal(list.trim(), 'stevedore');
      return `the certificate ${serialNumber.slice(0, 8)}… comes from the same authority, from the same pod`;
    }),

    step('helm test pushes an image to a registry of its own and pulls it', async () => {
      const told = await helm(cluster, ['test', 'stevedore', '--timeout=110s']);
      assert.match(told, /TEST SUITE: +stevedore-test-client\n[^]*Phase: +Succeeded/);
      return 'succeeded';
    }),
  ];
}

/** As after `kubectl auth can-i`. */
const rights = {
  yes: [
    'list registries --all-namespaces',
    'watch registrygcs --all-namespaces',
    'watch registrymirrors --all-namespaces',
    'patch registries --subresource=status --namespace=team',
    // For its finalizer.
    'patch registries --namespace=team',
    'create jobs --namespace=team',
    'get secrets --namespace=team',
    `patch leases --namespace=${SYSTEM_NAMESPACE}`,
  ],
  no: [
    'create pods --subresource=exec --namespace=team',
    'get pods --subresource=log --namespace=team',
    'create pods --namespace=team',
    'delete pods --namespace=team',
    'delete registries --namespace=team',
    'delete persistentvolumeclaims --namespace=team',
    'create serviceaccounts --subresource=token --namespace=team',
    'create rolebindings.rbac.authorization.k8s.io --namespace=team',
    'patch leases --namespace=kube-node-lease',
    'list nodes',
    'list namespaces',
    'patch customresourcedefinitions',
  ],
} as const;

/** Asks for the operator's account: `VERB RESOURCE OPTIONS…`. */
async function canI(cluster: Cluster, question: string): Promise<string> {
  const account = `system:serviceaccount:${SYSTEM_NAMESPACE}:stevedore`;
  const { stdout } = await cluster.tryKubectl(['auth', 'can-i', ...question.split(' '), `--as=${account}`]);
  return stdout.trim();
}
