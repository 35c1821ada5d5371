//! Images: whether they are on the engine, and getting them.

use std::collections::BTreeSet;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::engine::Project;
use super::resolved::Resolved;
use crate::stack::StackError;
use crate::stack::docker::status;

impl Project {
    async fn has_image(&self, image: &str) -> Result<bool, StackError> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(e) if status(&e) == Some(404) => Ok(false),
            Err(e) => Err(self.error("look for the image", image, &e)),
        }
    }

    /// Makes sure that an image is there, and pulls it where it is not.
    ///
    /// # Errors
    /// [`StackError::Call`] saying which image is missing.
    pub(super) async fn have_image(&self, image: &str) -> Result<(), StackError> {
        if self.has_image(image).await? {
            return Ok(());
        }
        let options = CreateImageOptionsBuilder::default()
            .from_image(image)
            .build();
        let mut pull = Box::pin(self.docker.create_image(Some(options), None, None));
        while let Some(progress) = pull.next().await {
            progress.map_err(|e| StackError::Call {
                call: "pull".to_owned(),
                component: format!("image {image}"),
                why: format!("it is not on this engine, and {e}; build, load or pull it first"),
            })?;
        }
        Ok(())
    }

    /// An image that is nowhere explains a failed start better than Compose does.
    pub(super) async fn blame_missing_images(
        &self,
        resolved: &Resolved,
        error: StackError,
    ) -> StackError {
        let images: BTreeSet<&String> = resolved.pulled.values().collect();
        let mut missing = Vec::new();
        for image in images {
            if matches!(self.has_image(image).await, Ok(false)) {
                missing.push(image.as_str());
            }
        }
        if missing.is_empty() {
            return error;
        }
        StackError::NotUp {
            why: format!(
                "image {} is not on this engine, could not be pulled, and has no `build`; build, load or pull it \
                 first ({error})",
                missing.join(", ")
            ),
        }
    }
}
