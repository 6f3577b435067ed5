import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/kube/api-error.ts';
import { ingresses, networkPolicies, services, type ForeignObject } from '../../../src/kube/resources.ts';
import { desiredIngress, desiredRoute, hostOf } from '../../../src/operator/desired-ingress.ts';
import {
  desiredPrometheusRule,
  desiredServiceMonitor,
  desiredStatusService,
} from '../../../src/operator/desired-monitoring.ts';
import { desiredNetworkPolicy } from '../../../src/operator/desired-network-policy.ts';
import { desiredService } from '../../../src/operator/desired-service.ts';
import { foreignKinds } from '../../../src/operator/foreign-kinds.ts';
import { assertGolden } from './golden.ts';
import { passwordSecret, registry } from './resource-builders.ts';
import { KEY, registryHarness } from './registry-harness.ts';

const hostname = 'registry.example.com:8443';
const plain = registry({ spec: { hostname } });
const plainHttp = registry({ spec: { hostname, tls: { mode: 'Disabled' } } });

test('what makes a Registry known to the network and to monitoring is as in its golden files', () => {
  const host = hostOf(hostname);
  assertGolden('operator/ingress', desiredIngress(plain, { className: 'nginx' }, host));
  assertGolden('operator/route', desiredRoute(plain, { parentRefs: [{ name: 'outer' }] }, host));
  assertGolden(
    'operator/network-policy',
    desiredNetworkPolicy(
      plain,
      {
        clients: [{ cidr: '10.0.0.0/8' }, { namespaceLabels: { team: 'a' }, podLabels: { app: 'ci' } }],
        monitoring: [{ namespaceLabels: { 'kubernetes.io/metadata.name': 'monitoring' } }],
      },
      'stevedore-system',
    ),
  );
  assertGolden('operator/status-service', desiredStatusService(plain));
  assertGolden(
    'operator/service-monitor',
    desiredServiceMonitor(plain, { labels: { release: 'prometheus' }, interval: '30s' }),
  );
  assertGolden('operator/prometheus-rule', desiredPrometheusRule(plain, { readOnlyFor: '2h' }));
});

test('Prometheus is told of times as it reads them', () => {
  for (const [written, read] of [
    ['30s', '30s'],
    ['1h30m', '1h30m'],
    ['1.5h', '1h30m'],
    ['30s1m', '1m30s'],
    ['0.5s', '500ms'],
    ['1500us', '2ms'],
  ] as const) {
    const { spec } = desiredServiceMonitor(plain, { interval: written });
    assert.partialDeepStrictEqual(spec, { endpoints: [{ interval: read }] });
    const rules = JSON.stringify(desiredPrometheusRule(plain, { readOnlyFor: written }));
    assert.ok(rules.includes(`"for":"${read}"`), written);
  }
});

test('an Ingress speaks as the pods do, with the certificate that is asked for', () => {
  const { metadata, spec } = desiredIngress(plainHttp, { annotations: { a: 'b' } }, 'h');
  assert.equal(spec?.tls, undefined);
  assert.equal(metadata.annotations?.['nginx.ingress.kubernetes.io/backend-protocol'], 'HTTP');
  assert.equal(metadata.annotations['a'], 'b');
  const other = desiredIngress(plainHttp, { tlsSecretName: 'public' }, 'h');
  assert.deepEqual(other.spec?.tls, [{ hosts: ['h'], secretName: 'public' }]);
});

test('the host of an Ingress has no port, and an IPv6 address keeps its own colons', () => {
  assert.equal(hostOf('registry.example.com:8443'), 'registry.example.com');
  assert.equal(hostOf('[fd00::5]:5000'), '[fd00::5]');
  assert.equal(hostOf('[fd00::5]'), '[fd00::5]');
});

test('a NetworkPolicy without clients lets everybody in, and with an empty list nobody', () => {
  const rules = (policy: object) => desiredNetworkPolicy(plain, policy, 'system').spec?.ingress;
  assert.deepEqual(rules({})?.[0], { ports: [{ port: 5000, protocol: 'TCP' }] });
  assert.deepEqual(
    rules({ clients: [] })?.map(({ ports }) => ports?.[0]?.port),
    [5001],
  );
});

test('what a Registry says of its Service reaches it', () => {
  const service = {
    type: 'LoadBalancer',
    loadBalancerClass: 'example.com/inner',
    loadBalancerSourceRanges: ['192.0.2.0/24'],
    externalTrafficPolicy: 'Local',
    ipFamilyPolicy: 'PreferDualStack',
  };
  assert.partialDeepStrictEqual(desiredService(registry({ spec: { service } })).spec, service);
});

test('Ingress and NetworkPolicy come and go with their fields', async () => {
  const harness = registryHarness();
  const there = async () => ({
    ingress: (await harness.kube.find(ingresses, KEY)) !== undefined,
    policy: (await harness.kube.find(networkPolicies, KEY)) !== undefined,
  });
  harness.apply({ hostname, ingress: {}, networkPolicy: {} });
  await harness.converge();
  assert.deepEqual(await there(), { ingress: true, policy: true });
  harness.apply({ hostname });
  await harness.converge();
  assert.deepEqual(await there(), { ingress: false, policy: false });
});

const unavailable = new ApiError({ status: 503, reason: '', message: 'away', retryAfterMs: undefined });

const find = (harness: ReturnType<typeof registryHarness>, kind: keyof typeof foreignKinds) =>
  harness.kube.find<ForeignObject>(foreignKinds[kind][0], KEY);

test('a route is made of the kind that TLS asks for, and exchanged with it', async () => {
  const harness = registryHarness();
  const gateway = { parentRefs: [{ name: 'outer' }] };
  harness.apply({ hostname, gateway });
  await harness.converge();
  assert.deepEqual((await find(harness, 'TLSRoute'))?.spec?.['hostnames'], ['registry.example.com']);
  assert.equal(await find(harness, 'HTTPRoute'), undefined);
  const writes = harness.kube.writes.length;
  await harness.reconcile();
  assert.equal(harness.kube.writes.length, writes);

  harness.apply({ hostname, gateway, tls: { mode: 'Disabled' } });
  await harness.converge();
  assert.equal(await find(harness, 'TLSRoute'), undefined);
  assert.ok(await find(harness, 'HTTPRoute'));
});

test('a route that is no longer asked for goes, whatever else the change waits for', async () => {
  const harness = registryHarness();
  harness.apply({ hostname, gateway: { parentRefs: [{ name: 'outer' }] } });
  await harness.converge();
  assert.ok(await find(harness, 'TLSRoute'));
  harness.apply({ hostname, notifications: [{ name: 'a', url: 'http://a/', secretRef: { name: 'hook' } }] });
  await harness.converge();
  assert.equal((await harness.condition('Ready')).reason, 'SecretNotFound');
  harness.putSecret(passwordSecret('hook', { authorization: 'Bearer x' }));
  await harness.converge();
  assert.equal(await find(harness, 'TLSRoute'), undefined);
});

test('a route goes that was made before anything was told of its Registry', async () => {
  const harness = registryHarness();
  harness.apply({ hostname, gateway: { parentRefs: [{ name: 'outer' }] } });
  harness.kube.refuse = (write) => (write.endsWith('/status') ? unavailable : undefined);
  await assert.rejects(harness.reconcile(), unavailable);
  assert.ok(await find(harness, 'TLSRoute'));
  harness.kube.refuse = () => undefined;
  harness.apply({ hostname });
  await harness.converge();
  assert.equal(await find(harness, 'TLSRoute'), undefined);
});

test('a route whose kind is not installed is told of, and the registry runs', async () => {
  const harness = registryHarness();
  harness.kube.notInstalled.add('TLSRoute');
  harness.apply({ hostname, gateway: { parentRefs: [{ name: 'outer' }] } });
  await harness.converge();
  await harness.start();
  const outcome = await harness.converge();
  const { status, reason, message } = await harness.condition('Ready');
  assert.deepEqual([status, reason], ['False', 'KindNotInstalled']);
  assert.match(message, /no kind TLSRoute\. Install the Gateway API/);
  assert.equal(outcome.kind === 'waiting' && outcome.afterMs, 60_000);
  harness.kube.notInstalled.clear();
  await harness.converge();
  assert.ok(await find(harness, 'TLSRoute'));
  assert.equal((await harness.condition('Ready')).status, 'True');
});

test('what monitoring needs is made where its kinds are, and goes with the field', async () => {
  const harness = registryHarness();
  const metrics = { serviceMonitor: {}, prometheusRule: {} };
  harness.kube.notInstalled.add('ServiceMonitor');
  harness.apply({ metrics });
  await harness.converge();
  assert.ok(await harness.kube.find(services, { ...KEY, name: 'reg-status' }));
  assert.ok(await find(harness, 'PrometheusRule'));
  assert.equal(await find(harness, 'ServiceMonitor'), undefined);
  harness.kube.notInstalled.clear();
  await harness.converge();
  assert.ok(await find(harness, 'ServiceMonitor'));
  harness.apply();
  await harness.converge();
  assert.equal(await find(harness, 'ServiceMonitor'), undefined);
  assert.equal(await find(harness, 'PrometheusRule'), undefined);
  assert.equal(await harness.kube.find(services, { ...KEY, name: 'reg-status' }), undefined);
});
