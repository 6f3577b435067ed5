import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAll } from 'js-yaml';
import { fieldAt } from '../../src/operator/field-at.ts';
import { script } from './cluster.ts';
import { run } from './command.ts';

const chart = join(import.meta.dirname, '../../charts/stevedore');
const DIGEST = `sha256:${'0a'.repeat(32)}`;

/** As helm would install it into the namespace `system`, by `Kind name`. */
async function render(...values: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
  const { code, stdout, stderr } = await template(['image.repository=example.com/stevedore', ...values]);
  assert.equal(code, 0, stderr);
  return new Map(
    loadAll(stdout)
      .filter((object) => object !== null)
      .map((object) => [
        `${String(fieldAt(object, 'kind'))} ${String(fieldAt(object, 'metadata', 'name'))}`,
        object,
      ]),
  );
}

async function template(values: readonly string[]) {
  const [helm = ''] = (await script('tools', ['helm'])).trim().split('\n');
  const settings = values.map((value) => `--set=${value}`);
  return run(helm, ['template', 'x', chart, '--namespace=system', ...settings], { timeout: 60_000 });
}

function container(objects: ReadonlyMap<string, unknown>): unknown {
  const containers = fieldAt(objects.get('Deployment x-stevedore'), 'spec', 'template', 'spec', 'containers');
  assert.ok(Array.isArray(containers));
  return containers[0] as unknown;
}

test('the chart as it comes has the operator with its rights, the kinds, and nothing else', async () => {
  const objects = await render();
  assert.deepEqual([...objects.keys()].filter((key) => !key.includes('test')).toSorted(), [
    'ClusterRole x-stevedore',
    'ClusterRoleBinding x-stevedore',
    'CustomResourceDefinition registries.stevedore.dev',
    'CustomResourceDefinition registrygcs.stevedore.dev',
    'CustomResourceDefinition registrymirrors.stevedore.dev',
    'Deployment x-stevedore',
    'Role x-stevedore-leader-election',
    'RoleBinding x-stevedore-leader-election',
    'ServiceAccount x-stevedore',
  ]);
});

test('the image is named by its digest where there is one, for the operator and for the registries', async () => {
  const operator = container(await render(`image.digest=${DIGEST}`, 'image.tag=ignored'));
  assert.equal(fieldAt(operator, 'image'), `example.com/stevedore@${DIGEST}`);
  const args = fieldAt(operator, 'args');
  assert.ok(Array.isArray(args) && args.includes(`--image=example.com/stevedore@${DIGEST}`));
});

test('for one namespace the rights are bound there alone', async () => {
  const objects = await render('watchNamespace=team');
  assert.ok(!objects.has('ClusterRoleBinding x-stevedore'));
  assert.equal(fieldAt(objects.get('RoleBinding x-stevedore'), 'metadata', 'namespace'), 'team');
  const test = objects.get('Registry x-stevedore-test');
  assert.equal(fieldAt(test, 'metadata', 'namespace'), 'team');
});

test('the shared authority is asked for with its rights', async () => {
  const objects = await render('sharedAuthorityNamespaces={a,b}');
  assert.ok(objects.has('Role x-stevedore-shared-authority'));
  const args = fieldAt(container(objects), 'args');
  assert.ok(Array.isArray(args) && args.includes('--shared-authority-namespaces=a,b'));
});

test('the node agent is there when it is asked for, and has two folders of the node and no rights', async () => {
  const settings = ['nodeAccess.namespaces={a,b}', 'nodeAccess.enabled=true'];
  const objects = await render(...settings);
  const operatorArgs = fieldAt(container(objects), 'args');
  assert.ok(Array.isArray(operatorArgs) && operatorArgs.includes('--node-access-namespaces=a,b'));
  assert.ok(objects.has('ClusterRoleBinding x-stevedore-node-access'));
  const pod = fieldAt(objects.get('DaemonSet x-stevedore-node-agent'), 'spec', 'template', 'spec');
  assert.equal(fieldAt(pod, 'automountServiceAccountToken'), false);
  assert.equal(fieldAt(pod, 'hostNetwork'), undefined);
  assert.deepEqual(fieldAt(pod, 'tolerations'), [{ operator: 'Exists' }]);
  const containers = fieldAt(pod, 'containers');
  assert.ok(Array.isArray(containers) && containers.length === 1);
  const agent = containers[0] as unknown;
  assert.deepEqual(fieldAt(agent, 'securityContext'), {
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.deepEqual(fieldAt(agent, 'volumeMounts'), [
    { name: 'plan', mountPath: '/etc/stevedore/nodes', readOnly: true },
    { name: 'containerd-config', mountPath: '/host/etc/containerd', readOnly: true },
    { name: 'containerd-certs', mountPath: '/host/etc/containerd/certs.d' },
  ]);
  const policy = fieldAt(objects.get('NetworkPolicy x-stevedore-node-agent'), 'spec', 'ingress');
  assert.match(JSON.stringify(policy), /"app.kubernetes.io\/component":"operator".*"port":5002/);

  const without = await render('nodeAccess.namespaces={a,b}');
  assert.ok(!JSON.stringify([...without.values()]).includes('--node-access-namespaces'));
  assert.ok(![...without.keys()].some((key) => key.includes('node-a')));
  const docker = await render(...settings, 'nodeAccess.docker.enabled=true');
  assert.match(
    JSON.stringify(docker.get('DaemonSet x-stevedore-node-agent')),
    /--docker-certs=\/etc\/docker\/certs\.d/,
  );
});

test('monitoring is what the Prometheus operator and Grafana read', async () => {
  const objects = await render(
    'monitoring.podMonitor.enabled=true',
    'monitoring.podMonitor.labels.release=prometheus',
    'monitoring.prometheusRule.enabled=true',
    'monitoring.dashboard.enabled=true',
  );
  const monitor = objects.get('PodMonitor x-stevedore');
  assert.equal(fieldAt(monitor, 'metadata', 'labels', 'release'), 'prometheus');
  const groups = fieldAt(objects.get('PrometheusRule x-stevedore'), 'spec', 'groups');
  assert.ok(Array.isArray(groups) && groups.length === 2);
  assert.match(JSON.stringify(groups), /\{\{ \$labels\.namespace \}\}/);
  const dashboard = objects.get('ConfigMap x-stevedore-dashboard');
  assert.equal(fieldAt(dashboard, 'metadata', 'labels', 'grafana_dashboard'), '1');
  const text = fieldAt(dashboard, 'data', 'stevedore.json');
  assert.equal(fieldAt(JSON.parse(String(text)), 'uid'), 'stevedore');
});

test('what is not a value of the chart is refused', async () => {
  for (const wrong of ['upgradeAtOnce=2', 'upgradesAtOnce=0', 'image.digest=latest', 'monitoring.on=true']) {
    const { code, stderr } = await template(['image.repository=r', wrong]);
    assert.notEqual(code, 0, wrong);
    assert.match(stderr, /schema|additional properties|does not match|minimum/i, wrong);
  }
  assert.match((await template([])).stderr, /image\.repository: say where the nodes pull the image from/);
});
