import { isJsonObject, type Json, type JsonObject } from '../../../../src/playground/api-server/kind.ts';
import { applyPatch, type ApplyResult } from '../../../../src/playground/api-server/fields/apply-patch.ts';
import { fieldOf, isJsonArray } from '../../../../src/playground/api-server/fields/json.ts';
import { type OwnedKind, trackUpdate } from '../../../../src/playground/api-server/fields/ownership.ts';

const string = { type: 'string' } as const;

/** A custom kind with a field of every sort that ownership tells apart. */
export const gadget: OwnedKind = {
  group: 'test.example',
  version: 'v1',
  kind: 'Gadget',
  custom: true,
  status: true,
  schema: {
    type: 'object',
    properties: {
      apiVersion: string,
      kind: string,
      metadata: {
        type: 'object',
        properties: { name: string, labels: { type: 'object', additionalProperties: string } },
      },
      spec: {
        type: 'object',
        properties: {
          title: string,
          nested: { type: 'object', properties: { x: string, y: string } },
          labels: { type: 'object', additionalProperties: string },
          pair: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: string, b: string } },
          args: { type: 'array', items: string },
          tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: string },
          ports: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['port', 'protocol'],
            items: {
              type: 'object',
              properties: {
                port: { type: 'integer' },
                protocol: { type: 'string', default: 'TCP' },
                name: string,
              },
            },
          },
          free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
      status: { type: 'object', properties: { phase: string } },
    },
  },
};

export const time = '2026-01-01T00:00:00Z';

export function gadgetOf(spec?: JsonObject, rest: JsonObject = {}): JsonObject {
  const object = { apiVersion: 'test.example/v1', kind: 'Gadget', metadata: { name: 'it' }, ...rest };
  return spec === undefined ? object : { ...object, spec };
}

type Options = Partial<Parameters<typeof applyPatch>[0]>;

export function tryApply(
  live: JsonObject | undefined,
  spec?: JsonObject,
  options: Options = {},
): ApplyResult {
  const applied = gadgetOf(spec);
  return applyPatch({ kind: gadget, manager: 'one', force: false, time, live, applied, ...options });
}

export function apply(live: JsonObject | undefined, spec?: JsonObject, options: Options = {}): JsonObject {
  const result = tryApply(live, spec, options);
  if (!('object' in result)) throw new Error(JSON.stringify(result));
  return result.object;
}

export function update(before: JsonObject | undefined, after: JsonObject, options: Options = {}): JsonObject {
  return trackUpdate({ kind: gadget, manager: 'one', time, before, after, ...options });
}

/** `manager/operation` (with `/subresource`) to FieldsV1. */
export function ownersOf(object: JsonObject): Record<string, Json> {
  const name = (entry: Json): string =>
    ['manager', 'operation', 'subresource']
      .map((key) => fieldOf(entry, key))
      .filter((part) => typeof part === 'string')
      .join('/');
  return Object.fromEntries(
    entriesOf(object).map((entry) => [name(entry), fieldOf(entry, 'fieldsV1') ?? null]),
  );
}

export function entriesOf(object: JsonObject): readonly Json[] {
  const entries = fieldOf(object.metadata, 'managedFields');
  return isJsonArray(entries) ? entries : [];
}

export function specOf(object: JsonObject): JsonObject {
  return isJsonObject(object.spec) ? object.spec : {};
}
