import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SYSTEM_NAMESPACE, TEAM_NAMESPACE, connect, containerdOf, operatorPod, script } from './cluster.ts';
import { succeed } from './command.ts';
import { writeImageLayout, writeProgramLayout } from './image-layout.ts';
import { crane, runKnowing, servedCertificate, type User } from './registry-client.ts';
import { loadProgram } from './support/program-image.ts';
import { step, testSteps, type Step } from './step.ts';
import {
  ADDRESS,
  ALICE,
  LoopedRegistry,
  PORT,
  apiServerStandsStill,
  userSecret,
} from './support/looped-registry.ts';
import { waitFor } from './wait.ts';

const NAMESPACE = `--namespace=${TEAM_NAMESPACE}`;
const BOB: User = { name: 'bob', password: 'battery staple' };
const API_STOPPED_MS = 120_000;
/** Longer than the default of `tls.rotation.overlap`. */
const DAYS_OUT = 31;
/**
 * For a pod to end and another to start on the same volume. It takes a few seconds; whatever waits for something to lapse
 * (a lease, the grace of the pod, a back-off) takes longer than this.
 */
const OUTAGE_LIMIT_SECONDS = 30;

const names = ['looped.example.com', 'images.example.com', '*.wild.example.com'];
const foreign = ['other.example.com', 'deep.a.wild.example.com', 'wild.example.com', 'looped.svc'];
const services = ['looped', 'looped.team', 'looped.team.svc', 'looped.team.svc.cluster.local'];

test('a client that pulls in a loop sees no change of what is around it', async (t) => {
  const cluster = await connect();
  t.after(async () => {
    await cluster.tryKubectl(['delete', 'pods,configmaps', '--selector=stevedore.test/client', NAMESPACE]);
    await cluster.kubectl(['delete', 'registries,secrets', '--all', NAMESPACE, '--wait']);
  });
  const looped = new LoopedRegistry(cluster);
  const folder = join(cluster.state, 'looped');
  mkdirSync(folder, { recursive: true });
  await testSteps(t, [
    step('A registry has a blob', () => looped.start()),
    ...changes(looped),
    ...takers(looped, folder),
    rotation(looped),
    apiServerStandsStill(looped, API_STOPPED_MS),
    step('The operator is lost', () =>
      looped.whilePulling(async () => {
        const pod = await operatorPod(cluster);
        const namespace = `--namespace=${SYSTEM_NAMESPACE}`;
        await cluster.kubectl(['delete', pod, namespace, '--grace-period=1', '--wait']);
        await waitFor('another one', async () => (await operatorPod(cluster)) !== pod);
      }),
    ),
    rollout(looped),
  ]);
});

function changes(looped: LoopedRegistry): readonly Step[] {
  const { cluster } = looped;
  return [
    step('A user is added and taken away', () =>
      looped.whilePulling(async () => {
        await cluster.apply(userSecret(BOB));
        await looped.apply({}, [ALICE, BOB]);
        await waitFor('bob is let in', async () => (await looped.login(BOB)) === 200);
        await looped.apply();
        await waitFor('bob is let in no longer', async () => (await looped.login(BOB)) === 401);
      }),
    ),

    step('The certificate is exchanged for one with more names', () =>
      looped.whilePulling(async () => {
        const serial = async () => (await servedCertificate(looped.place, 'looped.team.svc')).serialNumber;
        const before = await serial();
        await looped.apply({ tls: { dnsNames: names } });
        await waitFor('another certificate', async () => (await serial()) !== before);
        await waitFor('the status says so', async () => {
          const path = '.status.conditions[?(@.type=="CertificateReady")].reason';
          return (await cluster.field('registry/looped', path)) === 'Serving';
        });
      }),
    ),
  ];
}

/** Who takes the certificate by which names. */
function takers(looped: LoopedRegistry, folder: string): readonly Step[] {
  const { cluster } = looped;
  const program = 'team/program:v1';
  const craneBy = (name: string, ...args: readonly string[]) =>
    crane({ ...looped.place, name }, folder, ALICE, args);

  return [
    step('OpenSSL takes the certificate by every name that it has, and by no other', async () => {
      const [authority, served] = [join(folder, 'ca.crt'), join(folder, 'served.crt')];
      const chain = await cluster.field('secret/looped-tls', '.data.tls\\.crt');
      writeFileSync(authority, looped.place.authority);
      writeFileSync(served, Buffer.from(chain ?? '', 'base64'));
      const options = ['-x509_strict', '-purpose', 'sslserver', '-CAfile', authority];
      const verify = (option: string, name: string) =>
        succeed('openssl', ['verify', ...options, option, name, served]);
      const clusterIP = await cluster.field('service/looped', '.spec.clusterIP');
      const good = [...names.filter((name) => !name.startsWith('*')), 'a.wild.example.com', ...services];
      for (const name of good) await verify('-verify_hostname', name);
      for (const address of [ADDRESS, String(clusterIP)]) await verify('-verify_ip', address);
      for (const name of foreign)
        await assert.rejects(verify('-verify_hostname', name), /hostname mismatch/i, name);
      await assert.rejects(verify('-verify_ip', '192.0.2.1'), /IP address mismatch/i);
      return `${good.length} names and 2 addresses; not ${foreign.join(', ')}, 192.0.2.1`;
    }),

    step('So does Go, as crane is written in it', async () => {
      const catalog = (name: string) => craneBy(name, 'catalog', `${name}:${PORT}`);
      const good = ['images.example.com', 'b.wild.example.com', 'looped.team.svc.cluster.local', ADDRESS];
      for (const name of good) {
        const { code, stderr } = await catalog(name);
        assert.equal(code, 0, `${name}: ${stderr}`);
      }
      for (const name of foreign) {
        const { code, stderr } = await catalog(name);
        assert.notEqual(code, 0);
        assert.match(stderr, /x509: certificate is valid for .*, not /, name);
      }
      return `by ${good.join(', ')}`;
    }),

    step('So does containerd, by every name', async () => {
      const layout = await writeProgramLayout(join(folder, 'program'), join(cluster.bin, 'pause'));
      const pushed = await craneBy(ADDRESS, 'push', layout.folder, `${ADDRESS}:${PORT}/${program}`);
      assert.equal(pushed.code, 0, pushed.stderr);
      // ctr resolves and fetches by containerd's own library, in its own process, which knows the names then.
      const pull = async (host: string) => {
        const [name = ''] = host.split(':');
        const certificates = join(folder, 'certs.d', host);
        mkdirSync(certificates, { recursive: true });
        writeFileSync(join(certificates, 'ca.crt'), looped.place.authority);
        writeFileSync(
          join(certificates, 'hosts.toml'),
          `server = "https://${host}"\n[host."https://${host}"]\n  ca = "ca.crt"\n`,
        );
        const access = ['--hosts-dir', join(folder, 'certs.d'), '--user', `${ALICE.name}:${ALICE.password}`];
        const command = [
          'ctr',
          ...containerdOf(cluster, 'node-1'),
          'images',
          'pull',
          ...access,
          `${host}/${program}`,
        ];
        return runKnowing({ ...looped.place, name }, folder, command);
      };
      const clusterIP = await cluster.field('service/looped', '.spec.clusterIP');
      const byNodePort = [
        ...names.filter((name) => !name.startsWith('*')),
        'c.wild.example.com',
        ...services,
      ];
      const good = [...[...byNodePort, ADDRESS].map((name) => `${name}:${PORT}`), `${clusterIP}:5000`];
      for (const host of good) {
        const { code, stderr } = await pull(host);
        assert.equal(code, 0, `${host}: ${stderr}`);
      }
      for (const name of foreign) {
        const { code, stderr } = await pull(`${name}:${PORT}`);
        assert.notEqual(code, 0, name);
        assert.match(stderr, /x509: certificate is valid for .*, not /, name);
      }
      return `by ${good.join(', ')}; not by ${foreign.join(', ')}`;
    }),

    step('Pods push and pull by every name of the Service, with the CA from the ConfigMap', async () => {
      const clusterIP = await cluster.field('service/looped', '.spec.clusterIP');
      const hosts = [...services, String(clusterIP)].map((name) => `${name}:5000`);
      const { folder: layout, layers } = await writeImageLayout(join(folder, 'layer'), 1, 100_000);
      const layer = readFileSync(join(layout, 'blobs', String(layers[0]).replace(':', '/')));
      const [path = ''] = (await script('tools', ['crane'])).trim().split('\n');
      const image = await loadProgram(join(folder, 'crane-image'), path, 'crane');
      await cluster.apply(podWithCrane(image, hosts, layer));
      const phase = await waitFor('the pod has ended', async () => {
        const seen = await cluster.field('pod/client', '.status.phase');
        return (seen === 'Succeeded' || seen === 'Failed') && seen;
      });
      const looks = await Promise.all(
        hosts.map((_, index) =>
          cluster.tryKubectl(['logs', 'pod/client', `--container=append-${index}`, NAMESPACE]),
        ),
      );
      const state = await cluster.field('pod/client', '.status');
      assert.equal(phase, 'Succeeded', `${looks.map(({ stdout }) => stdout).join('\n')}\n${state}`);
      return `by ${hosts.join(', ')}`;
    }),
  ];
}

/** Pushes an image to each host, one after the other, and pulls it from each. `image`: with crane. */
function podWithCrane(image: string, hosts: readonly string[], layer: Buffer) {
  const labels = { 'stevedore.test/client': '' };
  const auth = Buffer.from(`${ALICE.name}:${ALICE.password}`).toString('base64');
  const container = (verb: string, index: number, args: readonly string[]) => ({
    name: `${verb}-${index}`,
    image,
    imagePullPolicy: 'Never',
    args: [verb, ...args],
    env: [
      { name: 'DOCKER_CONFIG', value: '/auth' },
      { name: 'SSL_CERT_FILE', value: '/authority/ca.crt' },
    ],
    volumeMounts: ['auth', 'authority', 'layer', 'tmp'].map((name) => ({ name, mountPath: `/${name}` })),
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  });
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'client', labels },
        stringData: {
          'config.json': JSON.stringify({ auths: Object.fromEntries(hosts.map((host) => [host, { auth }])) }),
        },
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'client', labels },
        binaryData: { 'layer.tar': layer.toString('base64') },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'client', labels },
        spec: {
          nodeName: 'node-1',
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          initContainers: hosts.map((host, index) =>
            container('append', index, ['--new_layer=/layer/layer.tar', `--new_tag=${host}/pod/${index}:v1`]),
          ),
          containers: hosts.map((host, index) =>
            container('pull', index, [`${host}/pod/${index}:v1`, `/tmp/${index}.tar`]),
          ),
          volumes: [
            { name: 'auth', secret: { secretName: 'client' } },
            { name: 'authority', configMap: { name: 'looped-ca' } },
            { name: 'layer', configMap: { name: 'client' } },
            { name: 'tmp', emptyDir: {} },
          ],
        },
      },
    ],
  };
}

/** The authority is replaced beside the old one. Time is moved by what the operator remembers: when it published the new one. */
function rotation(looped: LoopedRegistry): Step {
  const { cluster } = looped;
  const published = async (): Promise<string> =>
    (await cluster.field('configmap/looped-ca', '.data.ca\\.crt')) ?? '';
  const certificates = (bundle: string) => bundle.match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n?/g) ?? [];

  return step('The authority is exchanged: by an old bundle, then by both, then by the new one', async () => {
    const old = looped.place.authority;
    assert.equal(certificates(old).length, 1);
    let both = old;
    const clients = { 'pulls with the bundle that was fetched last': () => both };
    const first = await looped.whilePulling(
      async () => {
        await looped.apply({ tls: { dnsNames: names, keyAlgorithm: 'RSA-2048' } });
        both = await waitFor('both authorities are published', async () => {
          const bundle = await published();
          return certificates(bundle).length === 2 && bundle;
        });
        await servedCertificate(looped.place, 'looped.team.svc');
      },
      { ...clients, 'pulls with the old one': () => old },
    );

    const fresh = certificates(both)
      .filter((certificate) => certificate.trim() !== old.trim())
      .join('');
    assert.equal(certificates(fresh).length, 1);
    const place = { ...looped.place, authority: fresh };
    await assert.rejects(servedCertificate(place, 'looped.team.svc'), /certificate/, 'it signs too early');
    const second = await looped.whilePulling(async () => {
      const at = new Date(Date.now() - DAYS_OUT * 86_400_000).toISOString();
      const secrets = await cluster.kubectl([
        'get',
        'secrets',
        NAMESPACE,
        '--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations.stevedore\\.dev/published-at}{"\\n"}{end}',
      ]);
      const next = /^(looped-ca-\S+) \d/m.exec(secrets)?.[1];
      assert.ok(next !== undefined, `there is a second authority: ${secrets}`);
      const annotation = `stevedore.dev/published-at=${at}`;
      await cluster.kubectl(['annotate', '--overwrite', `secret/${next}`, annotation, NAMESPACE]);
      await waitFor('a certificate of the new one', () => servedCertificate(place, 'looped.team.svc'));
      await waitFor('the status says so', async () => {
        const path = '.status.conditions[?(@.type=="CertificateReady")].reason';
        return (await cluster.field('registry/looped', path)) === 'Serving';
      });
    }, clients);
    assert.equal(await published(), both, 'the old one stays for those who still have its certificate');
    await looped.pull(fresh);
    looped.follow(both);
    return `${first}; then ${second}`;
  });
}

/** Another configuration needs another pod, and the volume takes one at a time. */
function rollout(looped: LoopedRegistry): Step {
  return step('A change of its configuration keeps everybody waiting for one start of a pod', async () => {
    const { cluster } = looped;
    const generation = () => cluster.field('deployment/looped', '.metadata.generation');
    const before = await generation();
    const gaps: number[] = [];
    let last = performance.now();
    const over = new AbortController();
    // One that goes to a pod which has just gone may get no answer at all; who waits for none asks again.
    const isServed = () =>
      looped.pull(undefined, AbortSignal.timeout(1000)).then(
        () => true,
        () => false,
      );
    const client = (async () => {
      while (!over.signal.aborted) {
        if (await isServed()) {
          gaps.push(performance.now() - last);
          last = performance.now();
        }
        await delay(10);
      }
    })();
    try {
      await looped.apply({ log: { fields: { rollout: 'second' } } });
      await waitFor('another template', async () => (await generation()) !== before);
      await cluster.kubectl(['rollout', 'status', 'deployment/looped', NAMESPACE, '--timeout=90s']);
      await waitFor('it serves again', isServed);
    } finally {
      over.abort();
      await client;
    }
    gaps.push(performance.now() - last);
    const seconds = Math.max(...gaps) / 1000;
    assert.ok(seconds < OUTAGE_LIMIT_SECONDS, `nobody was served for ${seconds} s`);
    return `nobody was served for ${seconds.toFixed(1)} s`;
  });
}
