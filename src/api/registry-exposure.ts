import { annotations, duration, labels, objectName } from './field-schemas.ts';
import type { ObjectSchema } from './schema.ts';

/** How clients, monitoring and the operator reach the registry. */

export const service = {
  type: 'object',
  default: {},
  description: 'The Service `NAME`.',
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
    annotations: annotations(
      'Annotations of the Service, for the controllers of load balancers and DNS.',
      64,
    ),
    loadBalancerClass: {
      type: 'string',
      minLength: 1,
      maxLength: 317,
      description: 'Which controller makes the load balancer. It cannot change while there is one.',
    },
    loadBalancerSourceRanges: {
      type: 'array',
      maxItems: 64,
      'x-kubernetes-list-type': 'set',
      description: 'From where the load balancer lets clients in. Without it, from everywhere.',
      items: {
        type: 'string',
        minLength: 4,
        maxLength: 49,
        description: 'A network, such as `192.0.2.0/24`.',
        'x-kubernetes-validations': [
          {
            rule: 'isCIDR(self)',
            message: 'not a network: write an address and the length of its prefix, such as 192.0.2.0/24',
          },
        ],
      },
    },
    externalTrafficPolicy: {
      type: 'string',
      enum: ['Cluster', 'Local'],
      description:
        'Whether clients from outside may be passed on to another node. `Local` keeps their addresses and reaches only nodes with a pod.',
    },
    ipFamilyPolicy: {
      type: 'string',
      enum: ['SingleStack', 'PreferDualStack', 'RequireDualStack'],
      description: 'Whether the Service has addresses of IPv4 and IPv6. Without it, of one of them.',
    },
  },
  'x-kubernetes-validations': [
    {
      rule: "!has(self.nodePort) || self.type != 'ClusterIP'",
      message:
        'a Service of type ClusterIP has no node port: remove nodePort, or use type NodePort or LoadBalancer',
      fieldPath: '.nodePort',
    },
    {
      rule: "self.type == 'LoadBalancer' || (!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges))",
      message:
        'only a load balancer has a class and source ranges: use type LoadBalancer, or remove loadBalancerClass and loadBalancerSourceRanges',
    },
    {
      rule: "!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",
      message:
        'nobody from outside comes to a Service of type ClusterIP: remove externalTrafficPolicy, or use type NodePort or LoadBalancer',
      fieldPath: '.externalTrafficPolicy',
    },
    {
      rule: "self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",
      message:
        'loadBalancerClass cannot change while there is a load balancer: use another type first, then LoadBalancer with the new class',
    },
  ],
} as const satisfies ObjectSchema;

export const ingress = {
  type: 'object',
  description:
    'An Ingress for the host of `hostname`, with the certificate of the registry. It asks nginx for HTTPS to the pods and for bodies of any size; other controllers take their own annotations.',
  properties: {
    className: objectName('The class of the Ingress. Without it, the default class of the cluster.'),
    annotations: {
      ...annotations('Annotations of the Ingress, which go before those that it has by itself.', 32),
      'x-kubernetes-validations': [
        {
          // Snippets run in the controller, which can read every Secret; the others send out what Secrets hold.
          rule: "self.all(key, !key.contains('snippet') && !key.contains('/config-') && !key.endsWith('-secret'))",
          message:
            'annotations that configure the controller itself or name Secrets are for administrators: remove them',
        },
      ],
    },
    tlsSecretName: objectName(
      'A Secret of type kubernetes.io/tls with another certificate for clients, such as one from cert-manager. Without it, the one of the registry.',
    ),
  },
} as const satisfies ObjectSchema;

export const gateway = {
  type: 'object',
  required: ['parentRefs'],
  description:
    'A route of the Gateway API for the host of `hostname`. Without `kind` it is a TLSRoute, which passes TLS through to the pods; without TLS an HTTPRoute.',
  properties: {
    parentRefs: {
      type: 'array',
      minItems: 1,
      maxItems: 8,
      'x-kubernetes-list-type': 'atomic',
      description: 'The Gateways that lead here.',
      items: {
        type: 'object',
        required: ['name'],
        description: 'One Gateway, or one of its listeners.',
        properties: {
          name: objectName('Its name.'),
          namespace: objectName('Its namespace. Without it, that of the Registry.'),
          sectionName: objectName('The listener. Without it, all that fit.'),
        },
      },
    },
    kind: {
      type: 'string',
      enum: ['TLSRoute', 'HTTPRoute'],
      description:
        'What kind of route. With TLS, an HTTPRoute needs a BackendTLSPolicy of yours that names the ConfigMap `NAME-ca`.',
    },
    annotations: annotations('Annotations of the route.', 64),
  },
} as const satisfies ObjectSchema;

const peers = (description: string) =>
  ({
    type: 'array',
    maxItems: 32,
    'x-kubernetes-list-type': 'atomic',
    description,
    items: {
      type: 'object',
      description:
        'Pods, or a network. With both labels: pods that fit the one in namespaces that fit the other.',
      properties: {
        namespaceLabels: labels('Labels of namespaces. Without it, the same namespace.', 16),
        podLabels: labels('Labels of pods. Without it, all pods.', 16),
        cidr: {
          type: 'string',
          minLength: 4,
          maxLength: 49,
          description: 'A network, such as `192.0.2.0/24`.',
        },
      },
      'x-kubernetes-validations': [
        {
          rule: 'has(self.cidr) != (has(self.namespaceLabels) || has(self.podLabels))',
          message: 'set cidr, or labels of namespaces and pods, and not both',
        },
        {
          rule: '!has(self.cidr) || isCIDR(self.cidr)',
          message: 'not a network: write an address and the length of its prefix, such as 192.0.2.0/24',
          fieldPath: '.cidr',
        },
      ],
    },
  }) as const;

export const networkPolicy = {
  type: 'object',
  description:
    'A NetworkPolicy for the pods. Clients reach the port of the registry, and the operator and monitoring that of status and metrics; nobody reaches anything else.',
  properties: {
    clients: peers('Who may use the registry. Without it, everybody.'),
    monitoring: peers('Who, besides the operator, may read status and metrics. Without it, nobody.'),
  },
} as const satisfies ObjectSchema;

const serviceMonitor = {
  type: 'object',
  description: 'A ServiceMonitor, and a Service `NAME-status` for it.',
  properties: {
    labels: labels('Labels by which Prometheus selects it.', 16),
    interval: duration("How often metrics are read. Without it, Prometheus' own interval."),
  },
} as const satisfies ObjectSchema;

const prometheusRule = {
  type: 'object',
  description: 'A PrometheusRule with alerts.',
  properties: { labels: labels('Labels by which Prometheus selects it.', 16) },
} as const satisfies ObjectSchema;

const metricsFrame = {
  type: 'object',
  description: 'What is made for the Prometheus operator where its kinds are installed.',
  'x-kubernetes-validations': [
    {
      rule: '!has(self.prometheusRule) || has(self.serviceMonitor)',
      message: 'alerts are about metrics that are read: add serviceMonitor, or remove prometheusRule',
      fieldPath: '.prometheusRule',
    },
  ],
} as const;

export const metrics = {
  ...metricsFrame,
  properties: {
    serviceMonitor,
    prometheusRule: {
      ...prometheusRule,
      properties: {
        ...prometheusRule.properties,
        readOnlyFor: duration(
          'How long writes may be held before that is an alert: longer than garbage collection takes. Without it, an hour.',
        ),
      },
    },
  },
} as const satisfies ObjectSchema;

/** A mirror is always read-only. */
export const mirrorMetrics = {
  ...metricsFrame,
  properties: { serviceMonitor, prometheusRule },
} as const satisfies ObjectSchema;

/** Rules of the spec that read more than one of its fields. */
export const exposureRules = [
  {
    rule: '(!has(self.ingress) && !has(self.gateway)) || has(self.hostname)',
    message: 'an Ingress or a route is for a host: set hostname to the name that clients use',
  },
  {
    rule: "!has(self.gateway) || !has(self.gateway.kind) || self.gateway.kind == 'HTTPRoute' || self.tls.mode != 'Disabled'",
    message: 'a TLSRoute passes TLS through and there is none: use kind HTTPRoute, or TLS',
    fieldPath: '.gateway',
  },
] as const;
