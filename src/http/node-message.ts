/** What Node's servers tell of a request, and take for a response. */

export interface NodeHeaders {
  readonly [name: string]: string | readonly string[] | undefined;
}

/** A request target as a URL: of a name that starts with two slashes, the first is no host. */
export function absolute(target: string): string {
  return target.startsWith("/") ? `http://localhost${target}` : target;
}

/** Each time that a header came, where Node has joined or dropped the repeats. */
export function fieldsOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

export function oneOf(header: string | readonly string[] | undefined): string | null {
  return (typeof header === "object" ? header[0] : header) ?? null;
}

/** Whether a request says that it has a body. */
export function saysBody(headers: NodeHeaders): boolean {
  const length = oneOf(headers["content-length"]);
  return headers["transfer-encoding"] !== undefined || (length !== null && Number(length) !== 0);
}

/** Headers as Node has them, each value once. */
export function headersOf(named: { readonly [name: string]: unknown }): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(named)) {
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, String(one));
  }
  return headers;
}
