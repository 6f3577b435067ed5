import { API_VERSION, CATEGORY, GROUP, VERSION } from './names.ts';
import type { ResourceDefinition } from './resource.ts';
import type { Schema } from './schema.ts';
import { validationRules } from './validation-rules.ts';

/** The parts of a CustomResourceDefinition that this project sets. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: object;
}

/** The CustomResourceDefinition of a kind. Served and stored in one version, with the status subresource and perhaps that for scale. */
export function customResourceDefinition(
  definition: ResourceDefinition,
  annotations?: Readonly<Record<string, string>>,
): CustomResourceDefinition {
  const { kind, plural, singular, shortNames, scale } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, ...(annotations && { annotations }) },
    spec: {
      group: GROUP,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: [CATEGORY] },
      scope: 'Namespaced',
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {}, ...(scale !== undefined && { scale }) },
          additionalPrinterColumns: definition.printerColumns,
          schema: { openAPIV3Schema: rootSchema(definition) },
        },
      ],
    },
  };
}

function rootSchema({ kind, description, spec, status, rules }: ResourceDefinition): object {
  return {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `Always \`${API_VERSION}\`.` },
      kind: { type: 'string', description: `Always \`${kind}\`.` },
      metadata: { type: 'object' },
      spec: openApiSchema(spec),
      status: openApiSchema(status),
    },
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

/** Our language is OpenAPI's but for patterns, and for values that are a number or a string. */
function openApiSchema(schema: Schema): object {
  const rules = validationRules(schema);
  const { pattern: _, ...rest } = { pattern: undefined, ...schema };
  return {
    ...rest,
    ...openApiChildren(schema),
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

function openApiChildren(schema: Schema): object {
  if (!('type' in schema)) return { anyOf: [{ type: 'integer' }, { type: 'string' }] };
  if (schema.type === 'array') return { items: openApiSchema(schema.items) };
  if (schema.type !== 'object' || 'x-kubernetes-preserve-unknown-fields' in schema) return {};
  if ('additionalProperties' in schema) {
    return { additionalProperties: openApiSchema(schema.additionalProperties) };
  }
  const properties = Object.entries(schema.properties).map(([key, property]) => [
    key,
    openApiSchema(property),
  ]);
  return { properties: Object.fromEntries(properties) };
}
