import { labels } from './field-schemas.ts';
import type { ObjectSchema, ValidationRule } from './schema.ts';

/** What a resource wants written on nodes, which has effect on all that runs there. */

export const NODE_ACCESS =
  'The chart must install the node agent, and list the namespace (`nodeAccess.namespaces`).';

export const nodeSelector = labels('Labels that a node must have. Without it, all nodes.', 16);

export const nodeTrust = {
  type: 'object',
  description: `Nodes that trust the certificate of \`hostname\` when they pull, without being configured by hand. ${NODE_ACCESS} What is written on nodes is taken back when the Registry is deleted; what somebody else wrote stays.`,
  properties: {
    enabled: { type: 'boolean', default: false, description: 'Whether nodes are told.' },
    selector: nodeSelector,
  },
} as const satisfies ObjectSchema;

/** Rules of the spec that read more than one of its fields. */
export const nodeTrustRules = [
  {
    rule: '!has(self.nodeTrust) || !self.nodeTrust.enabled || has(self.hostname)',
    message: 'nodes do not know the names of Services: set hostname to the name that images have',
    fieldPath: '.nodeTrust',
  },
  {
    rule: "!has(self.nodeTrust) || !self.nodeTrust.enabled || self.tls.mode != 'Disabled'",
    message: 'without TLS there is nothing to trust: remove nodeTrust, or use another tls.mode',
    fieldPath: '.nodeTrust',
  },
] as const satisfies readonly ValidationRule[];

export const nodesStatus = {
  type: 'object',
  required: ['configured', 'conflicting'],
  description: 'How many nodes are configured, as their agents say. Not there where none is to be.',
  properties: {
    configured: {
      type: 'integer',
      format: 'int32',
      minimum: 0,
      description: 'Nodes that have all that they are to have.',
    },
    conflicting: {
      type: 'integer',
      format: 'int32',
      minimum: 0,
      description: 'Nodes where files of somebody else are in the way.',
    },
  },
} as const satisfies ObjectSchema;
