import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { API_VERSION } from '../../../src/api/names.ts';
import { InvalidObjectError, parseObject, validateObject } from '../../../src/api/parse.ts';
import { registryGCDefinition } from '../../../src/api/registry-gc.ts';
import { registryDefinition } from '../../../src/api/registry.ts';

const filesystem = { size: '10Gi' };

function registry(spec: object, status?: object): object {
  return {
    apiVersion: API_VERSION,
    kind: 'Registry',
    metadata: { name: 'team', namespace: 'apps', creationTimestamp: '2026-01-31T03:00:00Z' },
    spec: { storage: { filesystem }, ...spec },
    ...(status && { status }),
  };
}

function user(fields: object): object {
  return registry({
    auth: { htpasswd: { users: [{ name: 'alice', passwordSecretRef: { name: 'users' }, ...fields }] } },
  });
}

/** Each object with all errors that it has, in order. None: it is valid. */
const cases: readonly (readonly [title: string, object: object, ...errors: string[]])[] = [
  ['A minimal object', registry({})],
  ['A size that is a number', registry({ storage: { filesystem: { size: 1_000_000 } } })],
  ['A number of bytes with a fraction of a unit', registry({ storage: { filesystem: { size: '1.5Ti' } } })],
  ['An object that is no object', [], ' must be an object, not a list'],
  ['No spec', { ...registry({}), spec: undefined }, 'spec must be an object, not a value of type undefined'],
  ['No storage', registry({ storage: null }), 'spec.storage is required'],
  ['No bucket', registry({ storage: { s3: {} } }), 'spec.storage.s3.bucket is required'],
  ['A field that is not known', registry({ flavour: 2 }), 'spec.flavour is not a field'],
  ['A name of every object in JavaScript', registry({ constructor: 1 }), 'spec.constructor is not a field'],
  ['A misspelt field deep inside', registry({ tls: { dnsNammes: [] } }), 'spec.tls.dnsNammes is not a field'],
  [
    'A string for a boolean',
    registry({ readOnly: 'no' }),
    'spec.readOnly must be true or false, not a value of type string',
  ],
  [
    'A fraction for an integer',
    registry({ service: { port: 1.5 } }),
    'spec.service.port must be an integer, not a value of type number',
  ],
  ['A port above all', registry({ service: { port: 65536 } }), 'spec.service.port must be at most 65535'],
  ['A port below all', registry({ service: { port: 0 } }), 'spec.service.port must be at least 1'],
  [
    'A number for a string',
    registry({ hostname: 5000 }),
    'spec.hostname must be a string, not a value of type number',
  ],
  ['A list for an object', registry({ tls: [] }), 'spec.tls must be an object, not a list'],
  [
    'An object for a list',
    registry({ tls: { dnsNames: {} } }),
    'spec.tls.dnsNames must be a list, not a value of type object',
  ],
  [
    'An unknown enum value',
    registry({ tls: { mode: 'Off' } }),
    'spec.tls.mode must be one of Managed, Secret, CertManager, Disabled',
  ],
  [
    'Too short a list',
    registry({ storage: { filesystem: { ...filesystem, accessModes: [] } } }),
    'spec.storage.filesystem.accessModes must have at least 1 items',
  ],
  [
    'An item that is there twice in a set',
    registry({ tls: { ipAddresses: ['10.0.0.1', '10.0.0.1'] } }),
    'spec.tls.ipAddresses[1] is there twice: "10.0.0.1"',
  ],
  [
    'A boolean for a quantity',
    registry({ storage: { filesystem: { size: true } } }),
    'spec.storage.filesystem.size must be an integer or a string, not a value of type boolean',
  ],
  [
    'A quantity with a blank',
    registry({ storage: { filesystem: { size: '10 Gi' } } }),
    'spec.storage.filesystem.size is not a size: write a number of bytes, perhaps with a unit, such as 20Gi or 1.5T',
  ],
  [
    'A value of a map',
    registry({ resources: { limits: { memory: '1Gi', cpu: 'many' } } }),
    'spec.resources.limits[cpu] is not a quantity: write a number and perhaps a unit, such as 250m, 2 or 512Mi',
  ],
  ['A user with all characters', user({ name: '!"$%&()*+,-./09;<=>?@AZ[]^_`az{|}~' })],
  [
    'A user name with a line break',
    user({ name: 'alice\nmallory' }),
    "spec.auth.htpasswd.users[0].name is not a user name: use visible ASCII characters without ':' and blanks, and do not begin with '#'",
  ],
  [
    'Several errors at once',
    registry({ storage: { filesystem: { size: '' } }, tls: { mode: 'x', dnsNames: ['A'] }, delete: 1 }),
    'spec.storage.filesystem.size is not a size: write a number of bytes, perhaps with a unit, such as 20Gi or 1.5T',
    'spec.tls.mode must be one of Managed, Secret, CertManager, Disabled',
    'spec.tls.dnsNames[0] is not a DNS name: write it in lower case without port and scheme; addresses belong in ipAddresses',
    'spec.delete must be true or false, not a value of type number',
  ],
  [
    'A status with a time that is none',
    registry({}, { readOnly: { active: true, since: 'yesterday' } }),
    'status.readOnly.since must be a time as RFC 3339 writes it, such as 2026-01-31T03:00:00Z',
  ],
  [
    'A condition of a type that is there already',
    registry(
      {},
      {
        conditions: ['True', 'False'].map((status) => ({
          type: 'Ready',
          status,
          reason: 'A',
          message: '',
          lastTransitionTime: '2026-01-31T03:00:00Z',
        })),
      },
    ),
    'status.conditions[1] is there twice: {"type":"Ready"}',
  ],
];

describe('validateObject', () => {
  for (const [title, object, ...errors] of cases) {
    it(`${title}: ${errors.length === 0 ? 'is valid' : 'is refused, every error with its path'}.`, () => {
      const found = validateObject(registryDefinition, object).map(
        ({ path, message }) => `${path} ${message}`,
      );
      assert.deepEqual(found, errors);
    });
  }

  it('names another kind and version.', () => {
    const gc = {
      apiVersion: 'stevedore.dev/v1',
      kind: 'Registry',
      metadata: { name: 'gc' },
      spec: { registryRef: { name: 'team' } },
    };
    assert.deepEqual(validateObject(registryGCDefinition, gc), [
      { path: 'apiVersion', message: 'must be stevedore.dev/v1alpha1' },
      { path: 'kind', message: 'must be RegistryGC' },
    ]);
  });

  it('counts characters, not the units of UTF-16.', () => {
    const gc = (message: string) => ({
      apiVersion: API_VERSION,
      kind: 'RegistryGC',
      metadata: { name: 'gc' },
      spec: { registryRef: { name: 'team' } },
      status: { lastRun: { name: 'gc-1', message } },
    });
    assert.deepEqual(validateObject(registryGCDefinition, gc('🚢'.repeat(1024))), []);
    assert.equal(validateObject(registryGCDefinition, gc('🚢'.repeat(1025))).length, 1);
  });
});

describe('parseObject', () => {
  it('returns the object with its defaults.', () => {
    const { spec, metadata } = parseObject(registryDefinition, registry({}));
    assert.equal(metadata.name, 'team');
    assert.deepEqual(spec, {
      storage: { filesystem: { size: '10Gi', accessModes: ['ReadWriteOnce'], deletionPolicy: 'Retain' } },
      tls: {
        mode: 'Managed',
        keyAlgorithm: 'ECDSA-P256',
        duration: '2160h',
        rotation: { overlap: '720h', grace: '24h' },
      },
      service: { type: 'ClusterIP', port: 5000 },
      delete: true,
      readOnly: false,
      replicas: 1,
    });
  });

  it('accepts a field that only a newer version knows.', () => {
    const parsed = parseObject(registryDefinition, registry({ flavour: 2 }));
    assert.equal(parsed.spec.delete, true);
  });

  it('throws one error that holds every mistake.', () => {
    assert.throws(
      () => parseObject(registryDefinition, { ...registry({ delete: 'no' }), metadata: { name: 7 } }),
      (error) => {
        assert.ok(error instanceof InvalidObjectError);
        assert.deepEqual(
          error.errors.map(({ path }) => path),
          ['metadata.name', 'spec.delete', 'metadata.namespace'],
        );
        return true;
      },
    );
  });
});
