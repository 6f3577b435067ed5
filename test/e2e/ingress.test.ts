import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEAM_NAMESPACE, connect, type Cluster } from './cluster.ts';
import { craneImages } from './image-client.ts';
import { compareLayouts, writeImageLayout, type ImageLayout } from './image-layout.ts';
import { ask, skopeoCopy, type RegistryPlace, type User } from './registry-client.ts';
import { step, testSteps, type Step } from './step.ts';
import { startNginx, type IngressObject, type NginxInput } from './support/nginx-ingress.ts';

/** Of node-1, where nginx listens as well. */
const ADDRESS = '10.244.255.1';
const HOST = 'images.example.com';
const NAMESPACE = `--namespace=${TEAM_NAMESPACE}`;
const ALICE: User = { name: 'alice', password: 'correct horse' };
/** Ten times what nginx takes by itself. */
const LAYER_BYTES = 10 * 1024 * 1024;

const resources = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: ALICE.name, labels: { 'stevedore.dev/use': 'credentials' } },
      stringData: { password: ALICE.password },
    },
    {
      apiVersion: 'stevedore.dev/v1alpha1',
      kind: 'Registry',
      metadata: { name: 'exposed' },
      spec: {
        hostname: HOST,
        storage: { ephemeral: {} },
        ingress: { className: 'nginx' },
        auth: { htpasswd: { users: [{ name: ALICE.name, passwordSecretRef: { name: ALICE.name } }] } },
      },
    },
  ],
};

test('clients push and pull through nginx, as the Ingress tells it', async (t) => {
  const cluster = await connect();
  const folder = mkdtempSync(join(tmpdir(), 'ingress-'));
  let stop: (() => Promise<void>) | undefined;
  t.after(async () => {
    await stop?.();
    await cluster.kubectl(['delete', 'registries,secrets', '--all', NAMESPACE, '--wait']);
    rmSync(folder, { recursive: true });
  });
  const start = async (input: NginxInput) => {
    await stop?.();
    stop = await startNginx(input);
  };
  await testSteps(t, through(cluster, folder, start));
});

function through(
  cluster: Cluster,
  folder: string,
  start: (input: NginxInput) => Promise<void>,
): readonly Step[] {
  let place: RegistryPlace;
  let input: NginxInput;
  let image: ImageLayout;
  const field = async (resource: string, path: string): Promise<string> => {
    const value = await cluster.field(resource, path);
    assert.ok(value !== undefined, `${resource} has ${path}`);
    return value;
  };
  const images = () => craneImages(place, 'team/app', folder);
  const pulledAs = (name: string) => compareLayouts(image.folder, join(folder, name));

  return [
    step('A Registry has an Ingress, whose Secret and Service are there', async () => {
      await cluster.apply(resources);
      await cluster.kubectl([
        'wait',
        'registry/exposed',
        '--for=condition=Ready',
        NAMESPACE,
        '--timeout=60s',
      ]);
      // As the API server prints it.
      const ingress = JSON.parse(
        await cluster.kubectl(['get', 'ingress/exposed', NAMESPACE, '--output=json']),
      ) as IngressObject;
      const { host, http } = ingress.spec.rules[0];
      const service = `service/${http.paths[0].backend.service.name}`;
      const secret = `secret/${ingress.spec.tls[0].secretName}`;
      const pem = async (key: string) =>
        Buffer.from(await field(secret, `.data.tls\\.${key}`), 'base64').toString();
      input = {
        ingress,
        address: ADDRESS,
        backend: `${await field(service, '.spec.clusterIP')}:${await field(service, '.spec.ports[0].port')}`,
        certificate: await pem('crt'),
        key: await pem('key'),
        authority: await field('configmap/exposed-ca', '.data.ca\\.crt'),
      };
      place = {
        name: host,
        address: ADDRESS,
        port: 443,
        authority: input.authority,
      };
      image = await writeImageLayout(join(folder, 'image'), 2, LAYER_BYTES);
      return `${host} leads to ${input.backend}`;
    }),

    step('Without what the annotations say nginx would refuse a layer', async () => {
      const protocol = 'nginx.ingress.kubernetes.io/backend-protocol';
      const annotations = { [protocol]: input.ingress.metadata.annotations?.[protocol] ?? '' };
      await start({ ...input, ingress: { ...input.ingress, metadata: { annotations } } });
      await assert.rejects(images().push(ALICE, image.folder, 'large'), /413 Request Entity Too Large/);
      return '413 Request Entity Too Large';
    }),

    step('crane pushes a large image and pulls it', async () => {
      await start(input);
      await images().push(ALICE, image.folder, 'v1');
      await images().pull(ALICE, 'v1', join(folder, 'by-crane'));
      return `${await pulledAs('by-crane')} bytes`;
    }),

    step('So does skopeo', async () => {
      const reference = `docker://${HOST}/team/by-skopeo:v1`;
      for (const way of [
        [`oci:${image.folder}`, reference],
        [reference, `oci:${join(folder, 'by-skopeo')}`],
      ] as const) {
        const { code, stderr } = await skopeoCopy(place, folder, ALICE, way);
        assert.equal(code, 0, stderr);
      }
      return `${await pulledAs('by-skopeo')} bytes`;
    }),

    step('A user who is not known is asked for a password, and nothing names the inside', async () => {
      const headers = { host: HOST };
      const unknown = await ask(place, 'GET', '/v2/', { headers });
      assert.equal(unknown.status, 401);
      assert.match(unknown.headers['www-authenticate'] ?? '', /^Basic realm="[^"]+"$/);
      await assert.rejects(
        images().push({ ...ALICE, password: 'wrong' }, image.folder, 'v2'),
        /UNAUTHORIZED|401/,
      );
      const known = await ask(place, 'GET', '/v2/', { headers, user: ALICE });
      assert.equal(known.status, 200);
      const begun = await ask(place, 'POST', '/v2/team/app/blobs/uploads/', { headers, user: ALICE });
      const location = begun.headers.location ?? '';
      assert.match(location, new RegExp(`^https://${HOST}/v2/team/app/blobs/uploads/`));
      const gone = await ask(place, 'DELETE', location.slice(`https://${HOST}`.length), {
        headers,
        user: ALICE,
      });
      assert.equal(gone.status, 204);
      return location;
    }),

    step('The status tells the public URL', async () => {
      const url = await field('registry/exposed', '.status.url');
      assert.equal(url, `https://${HOST}`);
      return url;
    }),
  ];
}
