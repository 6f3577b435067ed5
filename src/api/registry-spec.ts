import { duration, durationWithDefault, objectName } from './field-schemas.ts';
import {
  certificateNamePattern,
  hostnamePattern,
  quantityPattern,
  secretKeyPattern,
  sizePattern,
  userNamePattern,
} from './formats.ts';
import type { ObjectSchema } from './schema.ts';

/** Where content lies cannot change under it, and this is the way out. */
const ANOTHER_REGISTRY = 'make a second Registry and copy the images to it';

const hostname = {
  type: 'string',
  minLength: 1,
  maxLength: 261,
  pattern: hostnamePattern,
  description:
    'The name that clients write before the image: `registry.example.com`, or with a port `registry.example.com:30500`. It is in the certificate and in `status.url`. Without it clients use the name of the Service. Making the name resolve is up to you.',
  'x-kubernetes-validations': [
    {
      rule: "self.contains('.') || self.contains(':') || self == 'localhost'",
      message:
        'clients take a name without a dot or a port for a path on Docker Hub: write registry.example.com or registry:5000',
    },
  ],
} as const;

const filesystem = {
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
      maxItems: 2,
      'x-kubernetes-list-type': 'set',
      default: ['ReadWriteOnce'],
      description:
        'The access modes of the claim that is made. They cannot change. With `existingClaim` the modes are those of that claim.',
      items: {
        type: 'string',
        enum: ['ReadWriteOnce', 'ReadWriteMany'],
        description: 'Whether pods on one node or on all nodes can mount the volume.',
      },
    },
    existingClaim: objectName(
      'A PersistentVolumeClaim of this namespace to use in place of a new one, also one that docker distribution wrote. It cannot change.',
    ),
    deletionPolicy: {
      type: 'string',
      enum: ['Retain', 'Delete'],
      default: 'Retain',
      description:
        'What becomes of the claim and of the certificate authority when the Registry is deleted. What is retained is found again by a Registry of the same name.',
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
      message: 'an existing claim is never deleted: use deletionPolicy Retain, and delete the claim yourself',
      fieldPath: '.deletionPolicy',
    },
    {
      rule: "!has(self.size) || !isQuantity(string(self.size)) || quantity(string(self.size)).isGreaterThan(quantity('0'))",
      message: 'size must be more than nothing: write a quantity such as 20Gi',
      fieldPath: '.size',
    },
    {
      rule: '!has(self.size) || !has(oldSelf.size) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0',
      message: `a volume cannot shrink: write the old size or a larger one, or ${ANOTHER_REGISTRY}`,
      fieldPath: '.size',
    },
    {
      rule: 'has(self.existingClaim) == has(oldSelf.existingClaim) && (!has(self.existingClaim) || self.existingClaim == oldSelf.existingClaim)',
      message: `existingClaim cannot change: ${ANOTHER_REGISTRY}`,
    },
    {
      rule: 'has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)',
      message: `storageClassName cannot change: ${ANOTHER_REGISTRY}`,
    },
    {
      rule: 'self.accessModes == oldSelf.accessModes',
      message: `accessModes cannot change: ${ANOTHER_REGISTRY}`,
      fieldPath: '.accessModes',
    },
  ],
} as const satisfies ObjectSchema;

const tls = {
  type: 'object',
  default: {},
  description: 'The server certificate. Its renewal restarts nothing.',
  properties: {
    mode: {
      type: 'string',
      enum: ['Managed', 'Disabled'],
      default: 'Managed',
      description:
        '`Managed`: from a certificate authority of this Registry, whose `ca.crt` clients find in the ConfigMap `NAME-ca`. `Disabled`: plain HTTP, passwords included.',
    },
    dnsNames: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'set',
      description:
        'More DNS names for the certificate. The host of `hostname` and the names of the Service are in it already.',
      items: {
        type: 'string',
        minLength: 1,
        maxLength: 253,
        pattern: certificateNamePattern,
        description: 'A lower-case DNS name; the first label may be `*`.',
      },
    },
    ipAddresses: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'set',
      description:
        'More IP addresses for the certificate, such as those of nodes. The addresses of the Service are in it already.',
      items: {
        type: 'string',
        minLength: 2,
        maxLength: 45,
        description: 'An IPv4 or IPv6 address.',
        'x-kubernetes-validations': [
          {
            rule: 'isIP(self)',
            message:
              'not an IP address: write one IPv4 or IPv6 address without brackets, port and prefix length; names belong in dnsNames',
          },
        ],
      },
    },
    duration: durationWithDefault(
      '2160h',
      'How long a server certificate is valid, at most a year, and no longer than its certificate authority.',
    ),
    renewBefore: duration(
      'How long before its end a certificate is renewed. Without it, after two thirds of its life.',
    ),
  },
  'x-kubernetes-validations': [
    {
      // The API server checks the rules on the default of `tls` too, which is still empty then.
      rule: "!has(self.duration) || (duration(self.duration) >= duration('1h') && duration(self.duration) <= duration('8760h'))",
      message: 'a certificate is valid for an hour to a year: write a duration from 1h to 8760h',
      fieldPath: '.duration',
    },
    {
      rule: "!has(self.renewBefore) || (duration(self.renewBefore) >= duration('5m') && duration(self.renewBefore) < duration(self.duration))",
      message: 'renewBefore must be at least 5m and shorter than duration: make it shorter, or remove it',
      fieldPath: '.renewBefore',
    },
    {
      rule: "self.mode != 'Disabled' || (!has(self.dnsNames) && !has(self.ipAddresses) && !has(self.renewBefore))",
      message:
        'without TLS there is no certificate: remove dnsNames, ipAddresses and renewBefore, or use mode Managed',
    },
  ],
} as const satisfies ObjectSchema;

const auth = {
  type: 'object',
  required: ['htpasswd'],
  description: 'Who may use the registry. Without it, everybody may do everything.',
  properties: {
    htpasswd: {
      type: 'object',
      required: ['users'],
      description: 'Users with passwords, by Basic authentication. Changes restart nothing.',
      properties: {
        users: {
          type: 'array',
          maxItems: 256,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          description: 'The users, each of whom may do everything. With an empty list nobody gets in.',
          items: {
            type: 'object',
            required: ['name', 'passwordSecretRef'],
            description: 'One user.',
            properties: {
              name: {
                type: 'string',
                minLength: 1,
                maxLength: 128,
                pattern: userNamePattern,
                description: 'The name to log in with.',
              },
              passwordSecretRef: {
                type: 'object',
                required: ['name'],
                description:
                  'Where the password is. The Secret must carry the label `stevedore.dev/use: credentials`, by which its owner allows this use.',
                properties: {
                  name: objectName('The name of the Secret, in the namespace of the Registry.'),
                  key: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 253,
                    pattern: secretKeyPattern,
                    default: 'password',
                    description: 'The key in its data. One line break at the end of the value is left out.',
                  },
                },
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectSchema;

const service = {
  type: 'object',
  default: {},
  description: 'The Service, named like the Registry.',
  properties: {
    type: {
      type: 'string',
      enum: ['ClusterIP', 'NodePort', 'LoadBalancer'],
      default: 'ClusterIP',
      description:
        'How far the Service reaches: inside the cluster, on a port of every node, or by an address of its own.',
    },
    port: {
      type: 'integer',
      format: 'int32',
      minimum: 1,
      maximum: 65535,
      default: 5000,
      description: 'The port of the Service.',
    },
    nodePort: {
      type: 'integer',
      format: 'int32',
      minimum: 1,
      maximum: 65535,
      description: 'The port on every node. Without it Kubernetes picks one from its range.',
    },
    annotations: {
      type: 'object',
      maxProperties: 64,
      description: 'Annotations of the Service, for the controllers of load balancers and DNS.',
      additionalProperties: { type: 'string', maxLength: 4096, description: 'The value.' },
    },
  },
  'x-kubernetes-validations': [
    {
      rule: "!has(self.nodePort) || self.type != 'ClusterIP'",
      message:
        'a Service of type ClusterIP has no node port: remove nodePort, or use type NodePort or LoadBalancer',
      fieldPath: '.nodePort',
    },
  ],
} as const satisfies ObjectSchema;

const quantities = {
  type: 'object',
  maxProperties: 16,
  additionalProperties: {
    'x-kubernetes-int-or-string': true,
    maxLength: 32,
    pattern: quantityPattern,
    description: 'A quantity, such as `250m` or `512Mi`.',
  },
} as const;

export const registrySpec = {
  type: 'object',
  required: ['storage'],
  description: 'What the registry shall be.',
  properties: {
    hostname,
    storage: {
      type: 'object',
      required: ['filesystem'],
      description: 'Where images lie. It cannot be changed for another place.',
      properties: { filesystem },
    },
    tls,
    auth,
    service,
    delete: {
      type: 'boolean',
      default: true,
      description: 'Whether clients may delete manifests, tags and blobs. Otherwise they get 405.',
    },
    readOnly: {
      type: 'boolean',
      default: false,
      description:
        'Whether everything that writes is refused, with 405. A change restarts the pod. Garbage collection needs no such switch.',
    },
    resources: {
      type: 'object',
      description:
        'Compute resources of the registry container. Without it the container requests 50m of CPU and 128Mi of memory.',
      properties: {
        requests: {
          ...quantities,
          description: 'What the scheduler sets aside, by resource: `cpu`, `memory`.',
        },
        limits: {
          ...quantities,
          description: 'What the container may not exceed, by resource: `cpu`, `memory`.',
        },
      },
    },
  },
} as const satisfies ObjectSchema;
