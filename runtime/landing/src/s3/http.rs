//! The SDK's way to the network: the broker's dialer and nothing else.

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::error::Error;
use std::sync::Arc;
use tidegate_broker::dial::{DialError, Dialer, HttpClient as DialedClient, http_client};

#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: Arc<DialedClient<SdkBody>>,
}

impl Connector {
    pub(super) fn new(dialer: &Dialer) -> Self {
        Connector {
            client: Arc::new(http_client(dialer)),
        }
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = Arc::clone(&self.client);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.send(request).await.map_err(|error| {
                let not_sent = error
                    .source()
                    .is_some_and(|source| source.is::<DialError>());
                let failed = ConnectorError::io(error.into());
                if not_sent {
                    failed.never_connected()
                } else {
                    failed
                }
            })?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
