import { withFields } from '../fields/json.ts';
import { apiVersionOf, type Json, type JsonObject, type Kind, type TableColumn } from '../kind.ts';
import { at, text } from '../kinds/read.ts';
import { metaOf, served } from '../objects.ts';
import { badRequest, StatusError } from '../status-error.ts';

/** How a client wants its answer. */
export interface Form {
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata';
  /** What the rows of a Table hold of their objects. */
  readonly includeObject: string;
}

const AVAILABLE = ['application/json', 'application/yaml', 'application/json;stream=watch'];

/** The first form in an Accept header that can be served. @throws {StatusError} 406 */
export function formOf(accept: string, includeObject: string): Form {
  if (!['', 'None', 'Metadata', 'Object'].includes(includeObject)) {
    const value = JSON.stringify(includeObject);
    throw badRequest(
      `Unable to convert to Table as requested: includeObject: Invalid value: ${value}: must be 'Metadata', 'Object', 'None', or empty`,
    );
  }
  for (const range of accept === '' ? ['*/*'] : accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue;
    const values = new Map(parameters.map((parameter) => parameter.split('=') as [string, string]));
    const as = values.get('as');
    if (as === undefined) return { as: 'object', includeObject };
    const isKnown = values.get('g') === 'meta.k8s.io' && values.get('v') === 'v1';
    if (isKnown && (as === 'Table' || as === 'PartialObjectMetadata')) return { as, includeObject };
    if (isKnown && as === 'PartialObjectMetadataList') return { as: 'PartialObjectMetadata', includeObject };
  }
  const message = `only the following media types are accepted: ${AVAILABLE.join(', ')}`;
  throw new StatusError({ code: 406, reason: 'NotAcceptable', message });
}

const texts = new WeakMap<JsonObject, string>();

/** The JSON of an object without what names its kind; kept, since objects do not change. */
function restText(object: JsonObject): string {
  let known = texts.get(object);
  if (known === undefined) {
    known = JSON.stringify(withFields(object, { apiVersion: undefined, kind: undefined })).slice(1);
    texts.set(object, known);
  }
  return known;
}

/** As JSON. `object` is what is stored. */
export function objectText(kind: Kind, object: JsonObject, form: Form, now: number): string {
  if (form.as === 'Table')
    return JSON.stringify(
      table(kind, [object], { resourceVersion: text(object, 'metadata', 'resourceVersion') }, form, now),
    );
  if (form.as === 'PartialObjectMetadata') return JSON.stringify(partial(object));
  return `{"kind":${JSON.stringify(text(object, 'kind') === '' ? kind.kind : kindName(kind, object))},"apiVersion":"${apiVersionOf(kind)}",${restText(view(kind, object))}`;
}

/** An object that is refused may say another kind; what is stored has this one. */
const kindName = (kind: Kind, object: JsonObject): string => text(object, 'kind') || kind.kind;

const view = (kind: Kind, object: JsonObject): JsonObject => served(kind, object);

export function listText(
  kind: Kind,
  objects: readonly JsonObject[],
  metadata: JsonObject,
  form: Form,
  now: number,
): string {
  if (form.as === 'Table') return JSON.stringify(table(kind, objects, metadata, form, now));
  if (form.as === 'PartialObjectMetadata') {
    const items = objects.map(partial);
    return JSON.stringify({
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      items,
    });
  }
  const prefix = kind.custom ? `{"apiVersion":"${apiVersionOf(kind)}","kind":"${kind.kind}",` : '{';
  const items = objects.map((object) => prefix + restText(view(kind, object))).join(',');
  return `{"kind":"${kind.kind}List","apiVersion":"${apiVersionOf(kind)}","metadata":${JSON.stringify(kind.custom ? { continue: '', ...metadata } : metadata)},"items":[${items}]}`;
}

/** `withColumns`: of a watch, only the first event tells the columns. */
export function table(
  kind: Kind,
  objects: readonly JsonObject[],
  metadata: JsonObject,
  form: Form,
  now: number,
  withColumns = true,
): JsonObject {
  const columns = kind.columns.map(({ name, type, format = '', description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  const rows = objects.map((object) => row(kind.columns, object, form, now));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? columns : null,
    rows,
  };
}

function row(
  columns: readonly TableColumn[],
  object: JsonObject,
  { includeObject }: Form,
  now: number,
): JsonObject {
  const conditions = at(object, 'kind') === 'Pod' ? podConditions(object) : undefined;
  const shown = includeObject === 'None' ? undefined : includeObject === 'Object' ? object : partial(object);
  return {
    cells: columns.map((column) => column.value(object, now)),
    ...(conditions && { conditions }),
    object: shown ?? null,
  };
}

function podConditions(pod: JsonObject): readonly Json[] | undefined {
  const phase = text(pod, 'status', 'phase');
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  const message = phase === 'Succeeded' ? 'The pod has completed successfully.' : 'The pod failed.';
  return [{ type: 'Completed', status: 'True', reason: phase, message }];
}

function partial(object: JsonObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: metaOf(object) };
}
