import { objectName, SECRET_LABEL, secretRef } from './field-schemas.ts';
import { bucketPattern, endpointPattern, sizePattern } from './formats.ts';
import type { ObjectSchema, StringSchema, ValidationRule } from './schema.ts';

/** Where content lies cannot change under it, and this is the way out. */
const ANOTHER_REGISTRY = 'make a second Registry and copy the images to it with stevedore copy';

/** What makes out where content lies stays as it was. `fields`: those that the schema has no default for. */
function fixed(...fields: readonly string[]): readonly ValidationRule[] {
  return fields.map((field) => fixedField(field, ANOTHER_REGISTRY));
}

function fixedField(field: string, wayOut: string): ValidationRule {
  return {
    rule: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
    message: `${field} cannot change: ${wayOut}`,
  };
}

/** `wayOut`: what to do when the content is to be elsewhere. */
export const filesystemOf = (kind: 'Registry' | 'RegistryMirror', wayOut: string) =>
  ({
    type: 'object',
    description: 'A volume, in the layout of docker distribution.',
    properties: {
      size: {
        'x-kubernetes-int-or-string': true,
        maxLength: 32,
        pattern: sizePattern,
        description:
          'The size of the claim that is made, as a quantity: `20Gi`. It may grow where the storage class allows expansion.',
      },
      storageClassName: objectName(
        'The storage class of the claim that is made. Without it, the default class of the cluster. It cannot change.',
      ),
      accessModes: {
        type: 'array',
        minItems: 1,
        maxItems: 3,
        'x-kubernetes-list-type': 'set',
        default: ['ReadWriteOnce'],
        description:
          'The access modes of the claim that is made. They cannot change. With `existingClaim` the modes are those of that claim.',
        items: {
          type: 'string',
          enum: ['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod'],
          description:
            'Whether pods on one node, pods on all nodes, or one pod alone can mount the volume. With `ReadWriteMany` there can be several replicas; with `ReadWriteOncePod` no garbage collection.',
        },
      },
      existingClaim: objectName(
        'A PersistentVolumeClaim of this namespace to use in place of a new one, also one that docker distribution wrote. It must carry the label `stevedore.dev/use: credentials`, by which its owner allows this use. It cannot change.',
      ),
      deletionPolicy: {
        type: 'string',
        enum: ['Retain', 'Delete'],
        default: 'Retain',
        description: `What becomes of the claim and of the certificate authority when the ${kind} is deleted. What is retained is found again by a ${kind} of the same name.`,
      },
    },
    'x-kubernetes-validations': [
      {
        rule: 'has(self.size) != has(self.existingClaim)',
        message: 'set exactly one of size, for a new claim, and existingClaim, for one that is already there',
      },
      {
        rule: '!has(self.existingClaim) || !has(self.storageClassName)',
        message: 'an existing claim has its storage class already: remove storageClassName',
        fieldPath: '.storageClassName',
      },
      {
        rule: "!has(self.existingClaim) || self.deletionPolicy == 'Retain'",
        message:
          'an existing claim is never deleted: use deletionPolicy Retain, and delete the claim yourself',
        fieldPath: '.deletionPolicy',
      },
      {
        rule: "!has(self.size) || !isQuantity(string(self.size)) || quantity(string(self.size)).isGreaterThan(quantity('0'))",
        message: 'size must be more than nothing: write a quantity such as 20Gi',
        fieldPath: '.size',
      },
      {
        rule: '!has(self.size) || !has(oldSelf.size) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0',
        message: `a volume cannot shrink: write the old size or a larger one, or ${wayOut}`,
        fieldPath: '.size',
      },
      fixedField('existingClaim', wayOut),
      fixedField('storageClassName', wayOut),
      {
        rule: 'self.accessModes == oldSelf.accessModes',
        message: `accessModes cannot change: ${wayOut}`,
        fieldPath: '.accessModes',
      },
    ],
  }) as const satisfies ObjectSchema;

/** `keys`: what the Secret has to hold, as a sentence. */
function credentialsSecretRef(keys: string) {
  return secretRef(
    `A Secret with credentials. ${keys} ${SECRET_LABEL} A change of it restarts the pods one after the other.`,
  );
}

function bucket(description: string) {
  return {
    type: 'string',
    minLength: 1,
    maxLength: 255,
    pattern: bucketPattern,
    description: `${description} It cannot change.`,
  } as const satisfies StringSchema;
}

function text(description: string) {
  return { type: 'string', minLength: 1, maxLength: 255, description } as const satisfies StringSchema;
}

function endpoint(description: string) {
  return {
    type: 'string',
    minLength: 1,
    maxLength: 512,
    pattern: endpointPattern,
    description,
  } as const satisfies StringSchema;
}

const rootDirectory = text('Beginning of the names of all objects. It cannot change.');

const s3 = {
  type: 'object',
  required: ['bucket'],
  description:
    'A bucket of Amazon S3, or of a store that speaks as it does, such as Ceph, MinIO or Cloudflare R2. Without `credentialsSecretRef` the platform gives the credentials: the ServiceAccount of `podTemplate.serviceAccountName` (IAM roles for service accounts, EKS Pod Identity), or the role of the node.',
  properties: {
    bucket: bucket('The bucket, which must exist.'),
    region: text('Region of the bucket, such as `eu-central-1`.'),
    endpoint: endpoint('Where a store other than Amazon S3 is, such as `https://minio.example.com:9000`.'),
    forcePathStyle: {
      type: 'boolean',
      description:
        'Whether the bucket stands in the path of URLs and not in their host name. Without it, in the path if there is an `endpoint`.',
    },
    rootDirectory,
    encrypt: { type: 'boolean', description: 'Whether the store is asked to encrypt what it stores.' },
    kmsKeyID: text('Key of a KMS to encrypt with. Without it the store uses a key of its own.'),
    storageClass: {
      type: 'string',
      enum: [
        'STANDARD',
        'STANDARD_IA',
        'ONEZONE_IA',
        'INTELLIGENT_TIERING',
        'REDUCED_REDUNDANCY',
        'GLACIER_IR',
        'OUTPOSTS',
        'EXPRESS_ONEZONE',
      ],
      description: 'Storage class of new objects. Without it, that of the bucket.',
    },
    credentialsSecretRef: credentialsSecretRef(
      'It has the keys `accesskey` and `secretkey`, or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.',
    ),
  },
  'x-kubernetes-validations': [
    {
      rule: 'has(self.region) || has(self.endpoint)',
      message: 'set region for Amazon S3, or endpoint for another store',
    },
    {
      rule: '!has(self.kmsKeyID) || (has(self.encrypt) && self.encrypt)',
      message: 'a key is for encryption: write encrypt true, or remove kmsKeyID',
      fieldPath: '.kmsKeyID',
    },
    ...fixed('bucket', 'rootDirectory'),
  ],
} as const satisfies ObjectSchema;

const azure = {
  type: 'object',
  required: ['accountName', 'container'],
  description:
    'A container of Azure Blob Storage. Without `credentialsSecretRef` the platform gives the credentials: the ServiceAccount of `podTemplate.serviceAccountName` with workload identity, or a managed identity of the node.',
  properties: {
    accountName: text('The storage account, which must have no hierarchical namespace. It cannot change.'),
    container: bucket('The container, which must exist.'),
    rootDirectory,
    realm: text('End of the host name of the service in other clouds, such as `core.chinacloudapi.cn`.'),
    serviceURL: endpoint('URL of the service in place of that of the account, such as a private endpoint.'),
    clientID: text('Application (client) ID, or that of a managed identity.'),
    tenantID: text('Directory (tenant) ID of the application.'),
    credentialsSecretRef: credentialsSecretRef(
      'It has the key `accountkey`, or `clientsecret` for the application of `clientID` and `tenantID`.',
    ),
  },
  'x-kubernetes-validations': [...fixed('accountName', 'container', 'rootDirectory')],
} as const satisfies ObjectSchema;

const gcs = {
  type: 'object',
  required: ['bucket'],
  description:
    'A bucket of Google Cloud Storage. Without `credentialsSecretRef` the platform gives the credentials: the ServiceAccount of `podTemplate.serviceAccountName` with GKE workload identity, or the service account of the node.',
  properties: {
    bucket: bucket('The bucket, which must exist.'),
    rootDirectory,
    credentialsSecretRef: credentialsSecretRef(
      'It has the key `key.json`, the key file of a service account.',
    ),
  },
  'x-kubernetes-validations': [...fixed('bucket', 'rootDirectory')],
} as const satisfies ObjectSchema;

const swift = {
  type: 'object',
  required: ['authURL', 'container', 'credentialsSecretRef'],
  description: "A container of OpenStack Swift, or of Ceph's object gateway by its Swift API.",
  properties: {
    authURL: endpoint(
      'Where to log in: `http://host:7480/auth/v1` of a Ceph gateway, `https://host:5000/v3` of Keystone.',
    ),
    authVersion: {
      type: 'integer',
      format: 'int32',
      minimum: 1,
      maximum: 3,
      description: 'Version of the login. Without it, the one that `authURL` names.',
    },
    container: bucket('The container. It is made when it is missing.'),
    prefix: text('Beginning of the names of all objects. It cannot change.'),
    tenant: text('Name of the tenant or project.'),
    tenantDomain: text("Name of the project's domain. Without it, that of the user."),
    domain: text("Name of the user's domain. Without it `Default`."),
    region: text("Region in Keystone's catalog. Without it, the first that offers object storage."),
    endpointType: {
      type: 'string',
      enum: ['public', 'internal', 'admin'],
      description: "Which of the region's addresses is used. Without it, the public one.",
    },
    credentialsSecretRef: credentialsSecretRef(
      'It has the keys `username` and `password`, and perhaps `secretkey`, the key of temporary URLs, with which deletes of a garbage collection expire.',
    ),
  },
  'x-kubernetes-validations': [...fixed('container', 'prefix')],
} as const satisfies ObjectSchema;

const oss = {
  type: 'object',
  required: ['bucket', 'region', 'credentialsSecretRef'],
  description: 'A bucket of Alibaba Cloud Object Storage Service.',
  properties: {
    bucket: bucket('The bucket, which must exist.'),
    region: text('Region of the bucket, such as `oss-cn-hangzhou`.'),
    endpoint: endpoint('Host of the bucket, in place of the one that bucket and region make.'),
    internal: { type: 'boolean', description: "Whether the address within Alibaba's network is used." },
    rootDirectory,
    encrypt: { type: 'boolean', description: 'Whether the store is asked to encrypt what it stores.' },
    credentialsSecretRef: credentialsSecretRef('It has the keys `accesskeyid` and `accesskeysecret`.'),
  },
  'x-kubernetes-validations': [...fixed('bucket', 'rootDirectory')],
} as const satisfies ObjectSchema;

export const ephemeral = {
  type: 'object',
  description:
    'The disk of the node, for as long as the pod is there: for tests and caches. Every restart loses all images, and there is no garbage collection.',
  properties: {
    sizeLimit: {
      'x-kubernetes-int-or-string': true,
      maxLength: 32,
      pattern: sizePattern,
      description: 'How much of the disk it may take, as a quantity. A pod that takes more is ended.',
    },
  },
} as const satisfies ObjectSchema;

const kinds = {
  filesystem: filesystemOf('Registry', ANOTHER_REGISTRY),
  s3,
  azure,
  gcs,
  swift,
  oss,
  ephemeral,
} as const;

export const storage = {
  type: 'object',
  description: 'Where images lie: exactly one kind of storage. It cannot be changed for another.',
  properties: kinds,
  'x-kubernetes-validations': storageRules(Object.keys(kinds), ANOTHER_REGISTRY),
} as const satisfies ObjectSchema;

/** That there is one of the kinds, and that it stays. */
export function storageRules(names: readonly string[], wayOut: string): readonly ValidationRule[] {
  return [
    {
      rule: `[${names.map((name) => `has(self.${name})`).join(', ')}].filter(there, there).size() == 1`,
      message: `set exactly one of ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`,
    },
    {
      rule: names.map((name) => `has(self.${name}) == has(oldSelf.${name})`).join(' && '),
      message: `the kind of storage cannot change: ${wayOut}`,
    },
  ];
}
