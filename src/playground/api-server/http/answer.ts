import { withFields } from '../fields/json.ts';
import { apiVersionOf, type JsonObject, type Kind, type TableColumn } from '../kind.ts';
import { text } from '../kinds/read.ts';
import { metaOf, served } from '../stored-object.ts';
import { StatusError } from '../status-error.ts';

/** How a client wants its answer. */
export interface Form {
  readonly as: 'object' | 'Table';
  /** What the rows of a Table hold of their objects: `None`, `Object`, or else their metadata. */
  readonly includeObject: string;
}

/** The first form in an Accept header that can be served. @throws {StatusError} 406 */
export function formOf(accept: string, includeObject: string): Form {
  for (const range of accept === '' ? ['*/*'] : accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue;
    const as = parameters.find((parameter) => parameter.startsWith('as='));
    if (as === undefined) return { as: 'object', includeObject };
    if (as === 'as=Table' && parameters.includes('v=v1')) return { as: 'Table', includeObject };
  }
  const message = 'only the following media types are accepted: application/json';
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
  if (form.as === 'Table') {
    const version = text(object, 'metadata', 'resourceVersion');
    return JSON.stringify(table(kind, [object], { resourceVersion: version }, form, now));
  }
  return `{"kind":"${kind.kind}","apiVersion":"${apiVersionOf(kind)}",${restText(served(kind, object))}`;
}

export function listText(
  kind: Kind,
  objects: readonly JsonObject[],
  metadata: JsonObject,
  form: Form,
  now: number,
): string {
  if (form.as === 'Table') return JSON.stringify(table(kind, objects, metadata, form, now));
  const prefix = kind.custom ? `{"apiVersion":"${apiVersionOf(kind)}","kind":"${kind.kind}",` : '{';
  const items = objects.map((object) => prefix + restText(served(kind, object))).join(',');
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
  const shown = includeObject === 'None' ? null : includeObject === 'Object' ? object : partial(object);
  return { cells: columns.map((column) => column.value(object, now)), object: shown };
}

function partial(object: JsonObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: metaOf(object) };
}
