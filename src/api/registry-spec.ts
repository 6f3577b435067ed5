import { hostnamePattern } from './formats.ts';
import { nodeTrust, nodeTrustRules } from './node-access.ts';
import { auth, authRules, pullSecrets } from './registry-auth.ts';
import { exposureRules, gateway, ingress, metrics, networkPolicy, service } from './registry-exposure.ts';
import { cache, config, health, log, maintenance, notifications } from './registry-server.ts';
import { storage } from './registry-storage.ts';
import { tls } from './registry-tls.ts';
import { podTemplate, replicas, resources, workloadRules } from './registry-workload.ts';
import type { ObjectSchema } from './schema.ts';

export const hostname = {
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
    {
      rule: "!self.startsWith('[') || isIP(self.substring(1, self.indexOf(']')))",
      message: 'in brackets stands an IPv6 address, such as [fd00::5]:5000: correct it, or write a name',
    },
  ],
} as const;

export const registrySpec = {
  type: 'object',
  required: ['storage'],
  description: 'What the registry shall be.',
  properties: {
    hostname,
    storage,
    tls,
    auth,
    pullSecrets,
    nodeTrust,
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
    replicas,
    podTemplate,
    resources,
    ingress,
    gateway,
    networkPolicy,
    metrics,
    cache,
    health,
    maintenance,
    log,
    notifications,
    config,
  },
  'x-kubernetes-validations': [...authRules, ...workloadRules, ...exposureRules, ...nodeTrustRules],
} as const satisfies ObjectSchema;
